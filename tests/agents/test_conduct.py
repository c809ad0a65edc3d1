"""Hostile and careless players: what they say, that listeners check it, and that saved ones go on exactly."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from nashgossip.agents import ExponentialFamilyModel, Message, Neighbour, Player, way_of
from nashgossip.games import (
    Bernoulli,
    Categorical,
    ClassConditional,
    Conduct,
    ExponentialFamily,
    Flooder,
    FreeRider,
    Gaussian,
    Gossip,
    Liar,
    Mute,
    Poisoner,
    Poisson,
    Space,
    Variable,
)

FAMILY = Gaussian((2,))


def player(
    conduct: Conduct | None,
    family: ExponentialFamily = FAMILY,
    *,
    name: str = "a",
    listens: bool = True,
    gossip: Gossip | None = None,
    samples: int = 40,
) -> Player:
    """A player with 60 rows of its own, that hears `b` and is heard by `b`, or the other way round."""
    other = "b" if name == "a" else "a"
    rows = family.sample(family.reference, 60, np.random.default_rng(1))
    return Player(
        name,
        ExponentialFamilyModel(family, smoothing=1.0),
        data=rows,
        self_weight=0.5,
        neighbours={other: Neighbour(0.5, family.space)} if listens else {},
        listeners={other: family.space},
        samples=samples,
        seed=4,
        index=0 if name == "a" else 1,
        gossip=gossip,
        max_rows=100,
        way=None if conduct is None else way_of(conduct, family.space),
    )


def said(one: Player, moves: int = 3) -> list[Message]:
    return [m.messages["b"] for m in (one.open(), *(one.move() for _ in range(moves))) if m.messages]


def arrays(messages: list[Message], name: str = "x") -> Any:
    return np.stack([message.content[name] for message in messages])


def test_a_shift_is_added_to_what_the_model_generates_and_to_nothing_else() -> None:
    honest, poisoner = player(None), player(Poisoner(by=3.0))
    assert arrays(said(poisoner)) == pytest.approx(arrays(said(honest)) + 3.0)
    assert poisoner.mean_parameters == pytest.approx(honest.mean_parameters)


@pytest.mark.parametrize(("by", "value"), [(1.0, 1), (-2.0, 0)])
def test_bits_are_set(by: float, value: int) -> None:
    assert (arrays(said(player(Poisoner(by=by), Bernoulli((3,))))) == value).all()


def test_half_of_the_categories_are_set_and_counts_stay_counts() -> None:
    n = 4 * 40
    share = (arrays(said(player(Poisoner(by=0.5), Categorical(4)))) == 0).mean()
    honest = (arrays(said(player(None, Categorical(4)))) == 0).mean()
    assert share == pytest.approx(0.5 + honest / 2, abs=4 * np.sqrt(0.25 / n))
    assert arrays(said(player(Poisoner(by=-5.0), Poisson((2,))))).min() == 0
    assert arrays(said(player(Poisoner(by=2.0), Poisson((2,))))).min() >= 2


def test_a_shift_stays_inside_the_bounds_and_is_let_in() -> None:
    space = Space((Variable("x", "real", low=0.0, high=1.0),))

    class Uniform:
        def __init__(self) -> None:
            self.space = space

        def learn(self, sources: Any, rng: Any) -> None: ...

        def generate(self, n: int, rng: np.random.Generator) -> Any:
            return space.batch({"x": rng.random(n)})

        def state(self) -> Mapping[str, Any]:
            return {}

        def load(self, state: Any) -> None: ...

    sender = Player(
        "a",
        Uniform(),
        data=space.batch({"x": [0.5]}),
        self_weight=1.0,
        neighbours={},
        listeners={"b": space},
        samples=50,
        seed=0,
        index=0,
        way=way_of(Poisoner(by=0.7), space),
    )
    (message,) = sender.open().messages.values()
    assert message.content["x"].max() == 1.0
    assert message.content["x"].min() >= 0.7


def test_labels_are_flipped_and_the_rest_is_not() -> None:
    family = ClassConditional(3, Gaussian((2,)))
    label = next(v.name for v in family.space if v.kind == "categorical")
    honest, poisoner = said(player(None, family)), said(player(Poisoner("flip", 1), family))
    assert (arrays(poisoner, label) == (arrays(honest, label) + 1) % 3).all()
    (other,) = (v.name for v in family.space if v.name != label)
    assert (arrays(poisoner, other) == arrays(honest, other)).all()


def test_a_collapsed_message_is_one_row_of_the_model_and_the_next_another() -> None:
    rows, honest = arrays(said(player(Poisoner("collapse")))), arrays(said(player(None)))
    assert (rows == rows[:, :1]).all()
    assert len(np.unique(rows[:, 0], axis=0)) == len(rows)
    assert all((batch == row[0]).all(axis=1).any() for batch, row in zip(honest, rows, strict=True))


def test_a_constant_free_rider_says_the_same_under_new_numbers() -> None:
    messages = said(player(FreeRider()))
    assert (arrays(messages) == arrays(messages[:1])).all()
    assert [m.sequence for m in messages] == [0, 1, 2, 3]
    assert not (arrays(said(player(None))) == arrays(said(player(None))[:1])).all()


def test_one_who_copies_says_what_it_heard_and_before_that_nothing() -> None:
    copier, source = player(FreeRider("copy")), player(None, name="b", listens=False)
    assert copier.open().messages == {}
    heard = source.open().messages["a"]
    copier.receive(heard)
    (message,) = copier.move().messages.values()
    assert (message.content["x"] == heard.content["x"]).all()
    assert (message.sender, message.sequence) == ("a", 0)


def test_a_flood_is_counted_and_memory_does_not_grow() -> None:
    flooder, listener = player(Flooder(messages=5)), player(None, name="b")
    flooder.open()
    for _ in range(10):
        move = flooder.move()
        for message in (*move.messages.values(), *(m for _, m in move.more)):
            assert listener.receive(message) is None
    assert listener.mailbox.counts == {"accepted": 50, "duplicate": 0, "outdated": 0, "replaced": 49}
    assert [len(letters) for letters in listener.mailbox.read().values()] == [1]


def test_messages_that_are_too_long_are_refused() -> None:
    flooder, listener = player(Flooder(messages=1, rows=3)), player(None, name="b")
    (message,) = flooder.open().messages.values()
    assert len(message.content["x"]) == 120
    assert listener.receive(message) == "size"


def test_a_mute_listens_and_says_nothing() -> None:
    mute, later = player(Mute()), player(Mute(after=2))
    source = player(None, name="b", listens=False)
    mute.receive(source.open().messages["a"])
    assert said(mute) == []
    assert mute.moves == 3
    assert [m.sequence for m in said(later)] == [0, 1]
    asked = player(Mute(), gossip=Gossip(style="pull"))
    asked.open()
    assert asked.answer("b") is None
    assert player(Mute(), gossip=Gossip(fresh=True)).open().messages == {}


@pytest.mark.parametrize(
    ("how", "counts", "reasons"),
    [
        ("ahead", {"accepted": 1, "duplicate": 3, "outdated": 0, "replaced": 0}, {}),
        ("behind", {"accepted": 1, "duplicate": 0, "outdated": 3, "replaced": 0}, {}),
        ("invalid", {"accepted": 0, "duplicate": 0, "outdated": 0, "replaced": 0}, {"sequence": 4}),
    ],
)
def test_a_lie_about_numbers_is_seen_by_the_listener(how: str, counts: dict[str, int], reasons: dict[str, int]) -> None:
    liar, listener = player(Liar(how)), player(None, name="b")
    messages = said(liar)
    for message in messages:
        listener.receive(Message.received(*message.wire()))
    assert listener.mailbox.counts == counts
    assert listener.rejected == reasons
    honest = player(None)
    assert (arrays(messages) == arrays(said(honest))).all()


@pytest.mark.parametrize(
    "conduct", [Poisoner(by=0.5), FreeRider(), FreeRider("copy"), Flooder(), Mute(after=4), Liar("behind")]
)
def test_one_that_is_restored_goes_on_exactly(conduct: Conduct) -> None:
    def started() -> Player:
        one = player(conduct, Bernoulli((3,)))
        source = player(None, Bernoulli((3,)), name="b", listens=False)
        one.open()
        one.receive(source.open().messages["a"])
        one.move()
        return one

    one, other = started(), player(conduct, Bernoulli((3,)))
    other.load(one.state())
    first, second = ([p.move() for _ in range(3)] for p in (one, other))
    assert [m.messages.keys() for m in first] == [m.messages.keys() for m in second]
    for a, b in zip(first, second, strict=True):
        for key, message in a.messages.items():
            assert message.sequence == b.messages[key].sequence
            assert message.content == b.messages[key].content


def test_an_honest_player_has_no_stream_and_no_memory_for_it() -> None:
    honest, rider = player(None), player(FreeRider())
    assert said(honest)
    assert said(rider)
    assert rider.state().keys() - honest.state().keys() == {"first"}
    assert rider.state()["streams"].keys() - honest.state()["streams"].keys() == {"conduct"}
