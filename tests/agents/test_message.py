"""Messages: made from generated rows or from a wire, and by no other way."""

import numpy as np
import pytest

from nashgossip.agents import Message
from nashgossip.games import Space, Variable

SPACE = Space((Variable("x", "real", (2,)), Variable("c", "categorical", categories=3)))
BATCH = SPACE.batch({"x": [[0.5, 1.5], [2.5, 3.5]], "c": [0, 2]})


def test_a_message_cannot_be_made_of_arbitrary_rows() -> None:
    with pytest.raises(TypeError, match=r"made by a player from what its model generates, or by Message.received"):
        Message("a", 0, BATCH)


def test_a_message_of_generated_rows_carries_the_batch_itself() -> None:
    message = Message.of(BATCH, sender="a", sequence=3)
    assert (message.sender, message.sequence) == ("a", 3)
    assert message.content is BATCH


def test_what_goes_over_the_wire_comes_back() -> None:
    sender, sequence, arrays = Message.of(BATCH, sender=("a", 1), sequence=7).wire()
    assert (sender, sequence) == (("a", 1), 7)
    assert all(type(values) is np.ndarray for values in arrays.values())
    assert SPACE.batch(arrays) == BATCH
    again = Message.received(sender, sequence, arrays).wire()
    assert again[:2] == (sender, sequence)
    assert SPACE.batch(again[2]) == BATCH


def test_the_wire_hands_out_a_dictionary_of_its_own() -> None:
    message = Message.of(BATCH, sender="a", sequence=0)
    message.wire()[2].clear()
    assert message.content == BATCH


def test_bytes_are_those_of_the_values() -> None:
    expected = 2 * (2 * 8 + 4)
    made = Message.of(BATCH, sender="a", sequence=0)
    assert made.nbytes == expected
    assert Message.received(*made.wire()).nbytes == expected
    assert Message.received("a", 0, {"x": "no array"}).nbytes == 0


def test_a_message_is_frozen() -> None:
    message = Message.of(BATCH, sender="a", sequence=0)
    with pytest.raises(AttributeError):
        message.sequence = 1  # type: ignore[misc]
