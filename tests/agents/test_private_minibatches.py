"""Private rows come by coins of their own, heard ones in proportion, and only public numbers decide how many."""

import numpy as np
import pytest

from nashgossip.agents import Source
from nashgossip.agents.private_minibatches import private_minibatches
from nashgossip.agents.sources import own_sources
from nashgossip.games import Space, Variable

SPACE = Space((Variable("x", "real"),))


def rows(n):
    return SPACE.batch({"x": np.arange(float(n))})


def test_each_private_row_comes_with_the_same_probability_and_alone():
    filled = private_minibatches([Source(rows(40), 0.3, own=True), Source(rows(500), 0.7)], 40)
    assert (filled.size, filled.rate) == (40, 0.3)
    steps = 4000
    came = np.zeros((steps, 40))
    for k, (own, heard) in enumerate(filled.picks(steps, np.random.default_rng(0))):
        came[k, own] = 1
        assert len(own) == len(set(own))
        assert len(heard) == 28
    error = np.sqrt(0.3 * 0.7 / steps)
    assert np.abs(came.mean(0) - 0.3).max() < 4.5 * error  # of 40 rows
    counts = came.sum(1)
    assert counts.mean() == pytest.approx(12, abs=4 * np.sqrt(40 * 0.21 / steps))
    assert counts.var() == pytest.approx(40 * 0.21, rel=4 * np.sqrt(2 / steps))  # as of independent coins


def test_the_minibatch_is_made_smaller_where_there_are_fewer_private_rows_than_their_share():
    sources = [Source(rows(10), 0.5, own=True), Source(rows(500), 0.5)]
    filled = private_minibatches(sources, 100)
    assert (filled.size, filled.rate, filled.expected()) == (20, 1.0, 10.0)
    for own, heard in filled.picks(5, np.random.default_rng(0)):
        assert own.tolist() == list(range(10))
        assert len(heard) == 10


def test_parts_of_the_private_rows_have_one_rate():
    label = Space((*SPACE, Variable("c", "binary")))
    labelled = label.batch({"x": np.zeros(30), "c": np.zeros(30, int)})
    filled = private_minibatches([*own_sources([labelled, rows(90)], 0.6), Source(rows(9), 0.4)], 50)
    assert filled.rate == pytest.approx(0.25)
    assert filled.expected() == pytest.approx(30)
    assert filled.expected(["c"]) == pytest.approx(7.5)


def test_the_seed_decides_who_comes():
    filled = private_minibatches([Source(rows(40), 1.0, own=True)], 10)
    first, same, other = (filled.picks(1, np.random.default_rng(seed))[0][0].tolist() for seed in (1, 1, 2))
    assert first == same != other
