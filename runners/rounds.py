"""Synchronous play in process: the reference semantics that every other engine is compared with."""

__all__ = ["rounds", "view_player"]

import time
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..agents import Message, Move, Player, seats
from ..games import Game
from .looks import Looks, closely
from .observation import Observation, PlayerView, require_whole


def rounds(
    game: Game,
    *,
    seed: int,
    moves: int,
    every: int = 1,
    looks: Looks | None = None,
    keep_states: bool = False,
    workers: int = 1,
    on_delivery: Callable[[Hashable, Hashable, Message], None] | None = None,
) -> Iterator[Observation]:
    """Plays in rounds: all batches of a round are delivered before anyone moves.

    Arguments:
        game: the game.
        seed: of all random streams.
        moves: rounds to play.
        every: rounds between observations.
        looks: when players are looked at closely, and what they are asked.
        keep_states: whether the last observation holds the players' states.
        workers: threads in which players move side by side. It changes no result; it pays where a move is long and
            leaves Python alone, as a network's is.
        on_delivery: called with sender, listener and message of each delivery.

    Yields:
        Observations: before the first round, then every `every` rounds, and after the last.

    Raises:
        ModelError: a model failed.
        ValueError: `moves`, `every` or `workers` is not a whole number of at least 1.
    """
    require_whole(moves=moves, every=every, workers=workers)
    looks = looks or Looks()
    players = {seat.name: seat.build() for seat in seats(game, seed)}
    with ThreadPoolExecutor(workers) as pool:
        run = pool.map if workers > 1 else map
        made = list(run(Player.open, players.values()))
        sent, size, seen = 0, 0, 0
        began = time.perf_counter()
        found = closely(players, looks, first=True, last=False)
        yield _observe(players, 0, began, (sent, size), keep_states=False, close=True, **found)
        for number in range(1, moves + 1):
            count, nbytes = _deliver(made, players, on_delivery or _nobody)
            sent, size = sent + count, size + nbytes
            made = list(run(Player.move, players.values()))
            last = number == moves
            if last or number % every == 0:
                close = looks.due(seen, number, moves)
                seen = number
                found = closely(players, looks, first=False, last=last) if close else {}
                yield _observe(
                    players, number, began, (sent, size), keep_states=last and keep_states, close=close, **found
                )


def _nobody(sender: Hashable, listener: Hashable, message: Message) -> None:
    """Takes no note of a delivery."""


def _deliver(
    moves: list[Move],
    players: dict[Hashable, Player],
    note: Callable[[Hashable, Hashable, Message], None],
) -> tuple[int, int]:
    sent, size = 0, 0
    for sender, move in zip(players, moves, strict=True):
        for listener, message in (*move.messages.items(), *move.more):
            players[listener].receive(message)
            note(sender, listener, message)
            size += message.nbytes
        sent += len(move.messages) + len(move.more)
    for asker, move in zip(players, moves, strict=True):
        for neighbour in move.requests:
            answer = players[neighbour].answer(asker)
            if answer is not None:
                players[asker].receive(answer)
                note(neighbour, asker, answer)
                sent, size = sent + 1, size + answer.nbytes
    return sent, size


def _observe(
    players: dict[Hashable, Player],
    number: int,
    began: float,
    traffic: tuple[int, int],
    *,
    keep_states: bool,
    **found: Any,
) -> Observation:
    return Observation(
        time=float(number),
        seconds=time.perf_counter() - began,
        messages=traffic[0],
        bytes=traffic[1],
        players=[view_player(p) for p in players.values()],
        states={name: p.state() for name, p in players.items()} if keep_states else {},
        **found,
    )


def view_player(player: Player) -> PlayerView:
    """What the laboratory sees of a player in this process."""
    return PlayerView(
        player.moves,
        player.mean_parameters,
        player.mailbox.counts.copy(),
        dict(player.rejected),
        player.mailbox.staleness(player.moves),
        shares=player.shares,
        privacy=player.privacy_spent,
    )
