"""The mailbox: the newest letter wins whatever the order, and every letter is accounted for."""

import itertools
import json
import threading
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nashgossip.agents import Letter, Mailbox
from nashgossip.games import Space, Variable

PROPERTY = settings(derandomize=True, deadline=None, max_examples=200)
SPACE = Space((Variable("x", "real"), Variable("k", "count")))
SENDERS = ("a", "b", "c")
DELIVERIES = st.lists(st.tuples(st.sampled_from(SENDERS), st.integers(0, 6)), max_size=25)


def letter(sender: str, sequence: int, arrived: int = 0) -> Letter:
    """The letter that `sender` wrote under this number: its rows follow from both."""
    x = [SENDERS.index(sender) + sequence / 10]
    return Letter(sequence, SPACE.batch({"x": x, "k": [sequence]}), arrived)


def filled(deliveries: list[tuple[str, int]]) -> Mailbox:
    mailbox = Mailbox(SENDERS)
    for sender, sequence in deliveries:
        mailbox.put(sender, letter(sender, sequence))
    return mailbox


def held(mailbox: Mailbox) -> dict[Any, tuple[int, float]]:
    return {sender: (found[0].sequence, float(found[0].batch["x"][0])) for sender, found in mailbox.read().items()}


# --- order and repetition ------------------------------------------------------------------------------------


@given(data=st.data(), deliveries=DELIVERIES)
@PROPERTY
def test_any_order_and_repetition_gives_the_same_letters(
    data: st.DataObject, deliveries: list[tuple[str, int]]
) -> None:
    repeated = deliveries + data.draw(st.lists(st.sampled_from(deliveries), max_size=10) if deliveries else st.just([]))
    shuffled = data.draw(st.permutations(repeated))
    assert held(filled(shuffled)) == held(filled(deliveries))


@given(deliveries=DELIVERIES)
@PROPERTY
def test_the_newest_letter_of_each_neighbour_is_held(deliveries: list[tuple[str, int]]) -> None:
    newest: dict[str, int] = {}
    for sender, sequence in deliveries:
        newest[sender] = max(sequence, newest.get(sender, -1))
    expected = {s: (newest[s], float(letter(s, newest[s]).batch["x"][0])) for s in SENDERS if s in newest}
    assert held(filled(deliveries)) == expected


@given(deliveries=DELIVERIES)
@PROPERTY
def test_letters_are_read_in_the_order_of_neighbours(deliveries: list[tuple[str, int]]) -> None:
    read = list(filled(deliveries).read())
    assert read == [s for s in SENDERS if s in read]


# --- counts --------------------------------------------------------------------------------------------------


@given(deliveries=DELIVERIES)
@PROPERTY
def test_every_delivery_is_counted_once(deliveries: list[tuple[str, int]]) -> None:
    mailbox = Mailbox(SENDERS)
    taken = [mailbox.put(sender, letter(sender, sequence)) for sender, sequence in deliveries]
    counts = mailbox.counts
    assert counts["accepted"] == sum(taken)
    assert counts["accepted"] + counts["duplicate"] + counts["outdated"] == len(deliveries)
    # Nothing was read: of the letters accepted from a neighbour, all but the one held were pushed out.
    assert counts["replaced"] == counts["accepted"] - len({sender for sender, _ in deliveries})


def test_counts_tell_what_became_of_letters() -> None:
    mailbox = Mailbox(SENDERS)
    assert mailbox.put("a", letter("a", 2))
    assert not mailbox.put("a", letter("a", 2))
    assert not mailbox.put("a", letter("a", 1))
    assert mailbox.put("a", letter("a", 5))
    assert mailbox.put("b", letter("b", 0))
    assert mailbox.counts == {"accepted": 3, "duplicate": 1, "outdated": 1, "replaced": 1}


def test_a_letter_that_was_read_is_not_counted_as_replaced() -> None:
    mailbox = Mailbox(SENDERS)
    mailbox.put("a", letter("a", 0))
    mailbox.read()
    mailbox.put("a", letter("a", 1))
    assert mailbox.counts["replaced"] == 0
    mailbox.put("a", letter("a", 2))
    assert mailbox.counts["replaced"] == 1


def test_letters_stay_for_the_next_read() -> None:
    mailbox = filled([("a", 1), ("c", 4)])
    assert held(mailbox) == held(mailbox)


def test_a_stranger_has_no_box() -> None:
    mailbox = Mailbox(SENDERS)
    assert mailbox.put("stranger", letter("a", 0)) is False  # nor one who left while its message was being checked
    assert mailbox.counts["accepted"] == 0
    assert "stranger" not in mailbox.read()


# --- staleness -----------------------------------------------------------------------------------------------


def test_staleness_is_the_mean_age_of_the_letters_held() -> None:
    mailbox = Mailbox(SENDERS)
    assert mailbox.staleness(9) == 0.0
    mailbox.put("a", letter("a", 0, arrived=4))
    mailbox.put("b", letter("b", 0, arrived=7))
    assert mailbox.staleness(9) == (5 + 2) / 2
    mailbox.put("a", letter("a", 1, arrived=9))
    assert mailbox.staleness(9) == (0 + 2) / 2


# --- state ---------------------------------------------------------------------------------------------------


def through_json(mailbox: Mailbox) -> dict[str, Any]:
    """The state as a checkpoint keeps it: JSON, and arrays apart."""
    arrays: list[np.ndarray] = []

    def flat(leaf: Any) -> Any:
        arrays.append(leaf)
        return {"array": len(arrays) - 1}

    text = json.dumps(mailbox.state(), default=flat)
    state: dict[str, Any] = json.loads(text, object_hook=lambda d: arrays[d["array"]] if set(d) == {"array"} else d)
    return state


@given(before=DELIVERIES, between=DELIVERIES, after=DELIVERIES)
@PROPERTY
def test_a_restored_mailbox_goes_on_like_the_one_it_was_saved_from(
    before: list[tuple[str, int]], between: list[tuple[str, int]], after: list[tuple[str, int]]
) -> None:
    mailbox = filled(before)
    mailbox.read()
    for sender, sequence in between:
        mailbox.put(sender, letter(sender, sequence, arrived=1))
    restored = Mailbox(SENDERS)
    restored.load(through_json(mailbox), [SPACE] * 3)
    for each in (mailbox, restored):
        for sender, sequence in after:
            each.put(sender, letter(sender, sequence, arrived=2))
    assert restored.counts == mailbox.counts
    assert restored.staleness(3) == mailbox.staleness(3)
    assert held(restored) == held(mailbox)


def test_loading_replaces_what_was_there() -> None:
    mailbox = filled([("a", 6), ("b", 6)])
    mailbox.load(filled([("a", 1)]).state(), [SPACE] * 3)
    assert held(mailbox) == held(filled([("a", 1)]))
    assert mailbox.counts == {"accepted": 1, "duplicate": 0, "outdated": 0, "replaced": 0}


def test_a_state_is_a_copy() -> None:
    mailbox = filled([("a", 1)])
    state = mailbox.state()
    mailbox.put("a", letter("a", 2))
    assert state["counts"]["accepted"] == 1
    assert [s[0]["sequence"] if s else None for s in state["letters"]] == [1, None, None]


# --- threads -------------------------------------------------------------------------------------------------


def test_letters_may_arrive_from_another_thread_while_others_are_read() -> None:
    mailbox = Mailbox(SENDERS)
    last = 1000
    letters = {s: [letter(s, n) for n in range(last + 1)] for s in SENDERS}
    done = threading.Event()

    def post() -> None:
        for n in range(last + 1):
            for sender in SENDERS:
                mailbox.put(sender, letters[sender][n])
        done.set()

    poster = threading.Thread(target=post)
    seen: list[dict[Any, int]] = []
    poster.start()
    while not done.is_set():
        seen.append({sender: found[0].sequence for sender, found in mailbox.read().items()})
        mailbox.staleness(0)
        mailbox.state()
    poster.join(timeout=10)
    assert not poster.is_alive()
    for earlier, later in itertools.pairwise(seen):
        assert all(later[sender] >= sequence for sender, sequence in earlier.items())
    assert {s: found[0].sequence for s, found in mailbox.read().items()} == dict.fromkeys(SENDERS, last)
    assert mailbox.counts["accepted"] == len(SENDERS) * (last + 1)
    # A letter is replaced unread, or read by at least one of the reads, or still there unread.
    assert mailbox.counts["replaced"] <= mailbox.counts["accepted"] - len(SENDERS)
