"""The empirical distribution as a player: it gives back what it was given, in proportion to the weights."""

import numpy as np
import pytest

from nashgossip.agents import EmpiricalModel, Source, check_model
from nashgossip.games import Space, SpaceError, Variable

SPACE = Space((Variable("c", "categorical", categories=3), Variable("s", "binary", (2, 2))))


def rows(c: int, n: int = 10):  # type: ignore[no-untyped-def]
    return SPACE.batch({"c": np.full(n, c), "s": np.full((n, 2, 2), c % 2)})


def test_it_keeps_the_contract_of_models() -> None:
    assert "resumes" in check_model(lambda: EmpiricalModel(SPACE, rows=300))


def test_it_gives_back_rows_of_its_source() -> None:
    model = EmpiricalModel(SPACE)
    model.learn([Source(rows(1), 1.0, own=True)], np.random.default_rng(0))
    made = model.generate(50, np.random.default_rng(1))
    assert set(made["c"]) == {1}
    assert len(model.state()["kept"]["c"]) == 10


def test_sources_are_resampled_by_weight() -> None:
    model = EmpiricalModel(SPACE, rows=4000)
    model.learn([Source(rows(0), 0.25), Source(rows(2), 0.75)], np.random.default_rng(0))
    assert np.bincount(model.state()["kept"]["c"], minlength=3).tolist() == [1000, 0, 3000]


def test_what_it_cannot_do_is_refused() -> None:
    with pytest.raises(ValueError, match="rows is 0, expected at least 1"):
        EmpiricalModel(SPACE, rows=0)
    model = EmpiricalModel(SPACE)
    with pytest.raises(ValueError, match="has not learned yet, and has no rows to give"):
        model.generate(1, np.random.default_rng(0))
    with pytest.raises(SpaceError, match="rows came without s, which an empirical model cannot complete"):
        model.learn([Source(rows(0).restrict(Space((SPACE["c"],))), 1.0)], np.random.default_rng(0))
