"""Synchronous play in process: the reference semantics that every other engine is compared with."""

__all__ = ["rounds", "view_player"]

import time
from collections.abc import Iterator

from ..agents import Move, Player, seats
from ..games import Game
from .observation import Observation, PlayerView, require_whole


def rounds(
    game: Game, *, seed: int, moves: int, every: int = 1, measure: int = 0, keep_states: bool = False
) -> Iterator[Observation]:
    """Plays in rounds: all batches of a round are delivered before anyone moves.

    Arguments:
        game: the game.
        seed: of all random streams.
        moves: rounds to play.
        every: rounds between observations.
        measure: rows that each player generates for measurement at the first and the last observation.
        keep_states: whether the last observation holds the players' states.

    Yields:
        Observations: before the first round, then every `every` rounds, and after the last.

    Raises:
        ModelError: a model failed.
        ValueError: `moves` or `every` is not a whole number of at least 1.
    """
    require_whole(moves=moves, every=every)
    players = {seat.name: seat.build() for seat in seats(game, seed)}
    made = [player.open() for player in players.values()]
    sent, size = 0, 0
    began = time.perf_counter()
    yield _observe(players, 0, began, (sent, size), measure, last=False, keep_states=keep_states)
    for number in range(1, moves + 1):
        count, nbytes = _deliver(made, players)
        sent, size = sent + count, size + nbytes
        made = [player.move() for player in players.values()]
        last = number == moves
        if last or number % every == 0:
            yield _observe(players, number, began, (sent, size), measure * last, last=last, keep_states=keep_states)


def _deliver(moves: list[Move], players: dict[object, Player]) -> tuple[int, int]:
    sent, size = 0, 0
    for move in moves:
        for listener, message in move.messages.items():
            players[listener].receive(message)
            size += message.nbytes
        sent += len(move.messages)
    for asker, move in zip(players, moves, strict=True):
        for neighbour in move.requests:
            answer = players[neighbour].answer(asker)
            if answer is not None:
                players[asker].receive(answer)
                sent, size = sent + 1, size + answer.nbytes
    return sent, size


def _observe(
    players: dict[object, Player],
    number: int,
    began: float,
    traffic: tuple[int, int],
    measure: int,
    *,
    last: bool,
    keep_states: bool,
) -> Observation:
    return Observation(
        time=float(number),
        seconds=time.perf_counter() - began,
        messages=traffic[0],
        bytes=traffic[1],
        players=[view_player(p) for p in players.values()],
        samples={name: p.measure(measure) for name, p in players.items()} if measure else {},
        held_out={name: p.held_out() for name, p in players.items()} if last else {},
        states={name: p.state() for name, p in players.items()} if last and keep_states else {},
    )


def view_player(player: Player) -> PlayerView:
    """What the laboratory sees of a player in this process."""
    return PlayerView(
        player.moves,
        player.mean_parameters,
        player.mailbox.counts.copy(),
        dict(player.rejected),
        player.mailbox.staleness(player.moves),
    )
