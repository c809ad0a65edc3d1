"""Minibatches: sizes in proportion to the weights without bias, every row used before any is used twice."""

import numpy as np
import pytest

from nashgossip.agents import Source, minibatches
from nashgossip.games import Batch, Space, Variable

SPACE = Space((Variable("x", "real"),))


def rows(n: int) -> Batch:
    return SPACE.batch({"x": np.arange(float(n))})


def test_every_minibatch_has_its_size_and_sources_their_share() -> None:
    sources = [Source(rows(50), 0.55, own=True), Source(rows(7), 0.25), Source(rows(30), 0.2)]
    sizes = np.array([[len(p) for p in picks] for picks in minibatches(sources, 10, 4000, np.random.default_rng(0))])
    assert (sizes.sum(axis=1) == 10).all()
    assert (np.abs(sizes - np.array([5.5, 2.5, 2.0])) < 1).all()
    error = 0.5 / np.sqrt(len(sizes))  # a size is one of two neighbouring numbers
    assert np.abs(sizes.mean(axis=0) - [5.5, 2.5, 2.0]).max() < 4 * error


def test_no_row_is_used_twice_before_all_were_used_once() -> None:
    picks = list(minibatches([Source(rows(12), 1.0)], 5, 12, np.random.default_rng(1)))
    used = np.concatenate([own for (own,) in picks])
    for k in range(0, 60, 12):
        assert sorted(used[k : k + 12]) == list(range(12))
    assert (used[:12] != used[12:24]).any()


def test_the_stream_decides() -> None:
    def drawn(seed: int) -> list[list[int]]:
        return [own.tolist() for (own,) in minibatches([Source(rows(9), 1.0)], 4, 3, np.random.default_rng(seed))]

    assert drawn(1) == drawn(1) != drawn(2)


def test_weights_that_do_not_sum_to_one_are_refused() -> None:
    with pytest.raises(ValueError, match="sum to 1"):
        next(minibatches([Source(rows(9), 0.5)], 4, 3, np.random.default_rng(0)))
