"""Allocation of rows: sums, bounds and no bias, whatever the weights."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nashgossip.agents import allocate

PROPERTY = settings(derandomize=True, deadline=None, max_examples=200)
WEIGHTS = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=8).filter(lambda w: sum(w) > 1e-3)


def normalised(weights: list[float]) -> np.ndarray:
    shares: np.ndarray = np.array(weights) / np.sum(weights)
    return shares


@given(weights=WEIGHTS, n=st.integers(0, 10_000), seed=st.integers(0, 2**32))
@PROPERTY
def test_all_rows_are_given_away_and_each_share_is_rounded_up_or_down(weights: list[float], n: int, seed: int) -> None:
    shares = normalised(weights)
    counts = allocate(shares.tolist(), n, np.random.default_rng(seed))
    assert counts.sum() == n
    assert (counts >= 0).all()
    assert (np.abs(counts - n * shares) < 1.0 + 1e-6).all()


@given(counts=st.lists(st.integers(0, 50), min_size=1, max_size=6).filter(sum), seed=st.integers(0, 2**32))
@PROPERTY
def test_whole_shares_are_met_exactly(counts: list[int], seed: int) -> None:
    n = sum(counts)
    given_away = allocate([c / n for c in counts], n, np.random.default_rng(seed))
    assert given_away.tolist() == counts


@pytest.mark.parametrize(
    ("weights", "n"),
    [([0.5, 0.3, 0.2], 7), ([0.05, 0.05, 0.9], 3), ([1 / 3, 1 / 3, 1 / 3], 1), ([0.99, 0.0, 0.01], 10)],
)
def test_shares_are_met_on_average(weights: list[float], n: int) -> None:
    rng = np.random.default_rng(11)
    draws = 20_000
    counts = np.array([allocate(weights, n, rng) for _ in range(draws)])
    expected = n * np.array(weights)
    fraction = expected - np.floor(expected)  # the count is one of two neighbours: Bernoulli around the floor
    error = np.sqrt(fraction * (1 - fraction) / draws)
    assert (np.abs(counts.mean(axis=0) - expected) <= 4 * error + 1e-9).all()


def test_one_stream_one_allocation() -> None:
    weights, n = [0.35, 0.35, 0.3], 5
    drawn = {seed: allocate(weights, n, np.random.default_rng(seed)).tolist() for seed in range(20)}
    assert all(allocate(weights, n, np.random.default_rng(seed)).tolist() == c for seed, c in drawn.items())
    assert len({tuple(c) for c in drawn.values()}) > 1


@pytest.mark.parametrize("weights", [[0.5, 0.4], [1.5, -0.5], [], [float("nan"), 1.0], [float("inf"), 1.0]])
def test_bad_weights_are_refused(weights: list[float]) -> None:
    with pytest.raises(ValueError, match=r"weights are \[.*\], expected numbers of at least 0 that sum to 1"):
        allocate(weights, 10, np.random.default_rng(0))
