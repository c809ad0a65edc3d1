"""The exact map of games of tables against a plain reading of its formula, and its fixed point."""

import itertools
from typing import Any

import networkx as nx
import numpy as np
import pytest

from nashgossip.agents import JointTable
from nashgossip.games import (
    Batch,
    Cells,
    Game,
    Gaussian,
    NoClosedFormError,
    PlayerSpec,
    Space,
    StepSize,
    TableConvergenceError,
    TableGame,
    TableOracle,
    Variable,
    forecast_tables,
    table_equilibrium,
)
from nashgossip.runners import play, random_table_game
from nashgossip.topology import attach_alpha, influence

A, B, C = Variable("a", "binary"), Variable("b", "binary"), Variable("c", "categorical", categories=3)


def rows(space: Space, n: int, seed: int) -> Batch:
    cells = Cells(space)
    rng = np.random.default_rng(seed)
    return cells.rows(rng.choice(cells.count, n, p=rng.dirichlet(np.ones(cells.count))))


def game_of(
    spaces: list[Space], data: list[Any], edges: list[tuple[int, int]], self_weight: float = 0.4, **model: Any
) -> Game:
    graph: nx.DiGraph[Any] = nx.DiGraph()
    graph.add_nodes_from(range(len(spaces)))
    graph.add_edges_from(edges)
    specs = {
        k: PlayerSpec(model=lambda s=s: JointTable(s, **model), data=d)
        for k, (s, d) in enumerate(zip(spaces, data, strict=True))
    }
    return Game(attach_alpha(graph, self_weight), specs)


# --- the map -------------------------------------------------------------------------------------------------


def plain_response(game: Game, tables: dict[Any, dict[tuple[int, ...], float]], smoothing: float) -> dict[Any, Any]:
    """F by loops over values, from theory.md alone: α_ii π_i^c + Σ_j α_ij p_j(x_S) p_i(x_rest | x_S)."""

    def part(names: tuple[str, ...], x: tuple[int, ...], wanted: tuple[str, ...]) -> tuple[int, ...]:
        return tuple(x[names.index(n)] for n in wanted)

    found = {}
    for i in game.players:
        names, p = game.space(i).names, tables[i]
        sources: list[tuple[float, tuple[str, ...], dict[tuple[int, ...], float]]] = []
        spec = game.specs[i]
        for batch in spec.parts:
            seen: dict[tuple[int, ...], float] = {}
            for k in range(len(batch)):
                x = tuple(int(batch[n][k]) for n in batch.space.names)
                seen[x] = seen.get(x, 0.0) + 1 / len(batch)
            weight = game.graph.edges[i, i]["alpha"] * len(batch) / (spec.rows + smoothing)
            sources.append((weight, batch.space.names, seen))
        sources.append(
            (game.graph.edges[i, i]["alpha"] * smoothing / (spec.rows + smoothing), names, dict.fromkeys(p, 1 / len(p)))
        )
        for j in game.graph.pred[i]:
            if j != i:
                shared = tuple(n for n in names if n in game.space(j).names)
                seen = {}
                for x, q in tables[j].items():
                    key = part(game.space(j).names, x, shared)
                    seen[key] = seen.get(key, 0.0) + q
                sources.append((game.graph.edges[j, i]["alpha"], shared, seen))
        found[i] = {
            x: sum(
                weight
                * seen.get(part(names, x, held), 0.0)
                * p[x]
                / sum(q for y, q in p.items() if part(names, y, held) == part(names, x, held))
                for weight, held, seen in sources
            )
            for x in p
        }
    return found


@pytest.mark.parametrize("players", [3, 4, 5, 6])
def test_the_map_is_the_formula(players: int) -> None:
    game = random_table_game(players, np.random.default_rng([7, players]), smoothing=2.0)
    exact = TableGame.of(game)
    rng = np.random.default_rng(players)
    tables = [rng.dirichlet(np.ones(c.count)) for c in exact.cells]
    grids = [list(itertools.product(*(range(v.categories or 2) for v in game.space(p)))) for p in game.players]
    plain = plain_response(
        game, {p: dict(zip(g, t, strict=True)) for p, g, t in zip(game.players, grids, tables, strict=True)}, 2.0
    )
    for player, grid, table in zip(game.players, grids, exact.response(tables), strict=True):
        np.testing.assert_allclose(table, [plain[player][x] for x in grid], rtol=1e-11)
    assert exact.residual(tables) > 0.01


# --- the fixed point -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("players", [3, 4, 5, 6])
def test_the_equilibrium_is_a_fixed_point(players: int) -> None:
    game = random_table_game(players, np.random.default_rng([1, players]))
    found = table_equilibrium(game)
    exact = TableGame.of(game)
    assert exact.residual(found.tables) <= 1e-12
    assert found.residual <= 1e-12
    assert found.iterations > 1
    oracle = TableOracle(exact, found.tables)
    assert (oracle.regrets(found.tables) < 1e-12).all()
    assert (oracle.regrets(exact.start) > 1e-3).all()


def test_where_all_share_everything_it_is_the_influence_of_the_data() -> None:
    space = Space((A, C))
    data = [rows(space, 50, seed) for seed in range(4)]
    game = game_of([space] * 4, data, [(0, 1), (1, 2), (2, 3), (3, 0), (0, 2)])
    histograms = np.stack([Cells(space).histogram(d) for d in data])
    found = np.stack(table_equilibrium(game).tables)
    np.testing.assert_allclose(found, influence(game.graph) @ histograms, atol=1e-11)


def test_what_travels_along_every_edge_and_is_in_all_rows_has_the_influence_of_the_data() -> None:
    """All else is completed, and its law is another."""
    spaces = [Space((C, A)), Space((C, B)), Space((C, A, B))]
    data = [rows(s, 80, seed) for seed, s in enumerate(spaces)]
    game = game_of(spaces, data, [(0, 1), (1, 2), (2, 0), (0, 2)])
    found = table_equilibrium(game).tables
    shared = [np.bincount(Cells(s).part(Space((C,))), t) for s, t in zip(spaces, found, strict=True)]
    shares = np.stack([np.bincount(d["c"], minlength=3) / len(d) for d in data])
    np.testing.assert_allclose(shared, influence(game.graph) @ shares, atol=1e-11)


def test_play_starts_where_the_oracle_does_and_where_there_are_many_ends_it_decides() -> None:
    """Nobody sees a and b together: every coupling of the two marginals that play comes to is an equilibrium."""
    spaces = [Space((A, B)), Space((B,))]
    halves = rows(Space((A,)), 100, 1), rows(Space((B,)), 100, 2)
    game = game_of(spaces, list(halves), [(1, 0)])
    uniform = table_equilibrium(game).tables
    marginals = [Cells(Space((v,))).histogram(d) for v, d in zip((A, B), halves, strict=True)]
    np.testing.assert_allclose(uniform[0].reshape(2, 2), np.outer(*marginals), atol=1e-11)
    tilted = game_of(spaces, list(halves), [(1, 0)], start=None)
    specs = {
        **tilted.specs,
        0: PlayerSpec(model=lambda: JointTable(spaces[0], start=np.array([0.4, 0.1, 0.1, 0.4])), data=halves[0]),
    }
    other = table_equilibrium(Game(tilted.graph, specs)).tables
    assert np.abs(other[0] - uniform[0]).max() > 0.05
    for axis, marginal in enumerate(marginals):
        np.testing.assert_allclose(other[0].reshape(2, 2).sum(axis=1 - axis), marginal, atol=1e-10)


def test_rows_that_only_the_first_publication_comes_from_open_the_oracle_too() -> None:
    """A player with α_ii = 0 learns from its own rows once, and that decides which of many ends it comes to."""
    spaces = [Space((A,)), Space((A, B))]
    against = spaces[1].batch({"a": [0, 1] * 20, "b": [1, 0] * 20})
    graph: nx.DiGraph[Any] = nx.DiGraph([(0, 1)])
    graph = attach_alpha(graph, {0: 1.0, 1: 0.0})
    data = [rows(spaces[0], 100, 1), against]
    specs = {
        k: PlayerSpec(model=lambda s=s: JointTable(s), data=d)
        for k, (s, d) in enumerate(zip(spaces, data, strict=True))
    }
    game = Game(graph, specs)
    table = table_equilibrium(game).tables[1].reshape(2, 2)
    played = play(game, moves=20, keep_states=True).states[1]["model"]["table"].reshape(2, 2)
    assert table[0, 0] == table[1, 1] == 0
    assert played[0, 0] == played[1, 1] == 0
    assert forecast_tables(game, rounds=20).tables[1].reshape(2, 2)[0, 0] == 0


def test_each_player_answers_best_at_the_fixed_point() -> None:
    """Its table maximises α_ii E log p_i(x_O) + Σ_j α_ij E_pj log p_i(x_S), which is concave: no other does better."""
    game = random_table_game(4, np.random.default_rng(5))
    exact, rng = TableGame.of(game), np.random.default_rng(0)
    tables = table_equilibrium(game).tables

    def utility(i: int, table: Any) -> float:
        return sum(s.weight * float(s.seen(tables) @ np.log(np.bincount(s.index, table))) for s in exact.sources[i])

    for i, table in enumerate(tables):
        best = utility(i, table)
        for _ in range(200):
            other = rng.dirichlet(np.ones(len(table)))
            for step in (1e-3, 0.1, 1.0):
                assert utility(i, (1 - step) * table + step * other) < best


# --- play without noise --------------------------------------------------------------------------------------


def test_who_knows_nothing_is_silent_and_leaves_its_weight_to_the_others() -> None:
    spaces = [Space((A, C)), Space((C,)), Space((C, B))]
    data = [rows(spaces[0], 30, 0), None, None]
    graph: nx.DiGraph[Any] = nx.DiGraph()
    graph.add_weighted_edges_from(
        [(0, 0, 1.0), (0, 1, 1.0), (1, 2, 0.5), (2, 2, 0.0), (0, 2, 0.5), (1, 1, 0.0)], weight="alpha"
    )
    specs = {
        k: PlayerSpec(model=lambda s=s: JointTable(s), data=d)
        for k, (s, d) in enumerate(zip(spaces, data, strict=True))
    }
    path = list(itertools.islice(TableGame.of(Game(graph, specs)).rounds(), 4))
    shares = np.bincount(data[0]["c"], minlength=3) / 30  # type: ignore[index]
    np.testing.assert_allclose(path[0][1], 1 / 3)
    np.testing.assert_allclose(path[1][1], shares)
    np.testing.assert_allclose(path[1][2].reshape(3, 2).sum(axis=1), shares)  # of player 0 alone
    np.testing.assert_allclose(path[3][2].reshape(3, 2).sum(axis=1), shares)


def test_steps_are_those_of_the_models_unless_full_ones_are_asked_for() -> None:
    game = random_table_game(3, np.random.default_rng(2), step=StepSize(0.5))
    exact = TableGame.of(game)
    path, full = (list(itertools.islice(exact.rounds(full=f), 3)) for f in (False, True))
    answer = exact.response(path[1])
    for i in range(3):
        np.testing.assert_allclose(path[2][i], 0.5 * path[1][i] + 0.5 * answer[i], rtol=1e-12)
        np.testing.assert_allclose(full[2][i], exact.response(full[1])[i], rtol=1e-12)
        np.testing.assert_allclose(path[0][i], 0.5 * exact.start[i] + 0.5 * full[0][i], rtol=1e-12)


# --- what is refused -----------------------------------------------------------------------------------------


def test_a_map_that_does_not_come_to_rest_says_how_far_it_is() -> None:
    game = random_table_game(3, np.random.default_rng(0))
    with pytest.raises(
        TableConvergenceError, match="after 5 iterations the tables still move by 0.0.* at most 1e-12"
    ) as caught:
        table_equilibrium(game, most=5)
    assert 1e-12 < caught.value.residual < 0.1
    assert table_equilibrium(game, tol=caught.value.residual).iterations <= 5


def test_players_that_are_no_tables_have_no_such_map() -> None:
    family = Gaussian((2,))
    game = Game(
        attach_alpha(nx.path_graph(2), 0.5),
        {k: PlayerSpec(family, data=family.sample(np.zeros(2), 9, np.random.default_rng(0))) for k in range(2)},
    )
    with pytest.raises(NoClosedFormError, match="player 0 is no joint table"):
        TableGame.of(game)
    assert game.tables == {}
