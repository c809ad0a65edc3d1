"""Graphs by name."""

import contextlib

import networkx as nx
import pytest

from nashgossip.topology import (
    GeneratorError,
    UnknownNameError,
    attach_alpha,
    generate_graph,
    generator_names,
    validate,
)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [(name, {"n": 12}) for name in ("ring", "path", "star", "complete", "tree", "small_world", "scale_free")]
    + [
        ("regular", {"n": 12}),
        ("directed_cycle", {"n": 12}),
        ("grid", {"m": 3, "n": 4}),
        ("torus", {"m": 3, "n": 4}),
    ]
    + [("watts_strogatz_graph", {"n": 12, "k": 4, "p": 0.2}), ("grid_2d_graph", {"m": 2, "n": 6})]
    + [("barabasi_albert_graph", {"n": 12, "m": 2}), ("random_regular_graph", {"d": 3, "n": 12})]
    + [
        ("star_graph", {"n": 11}),
        ("cycle_graph", {"n": 12, "create_using": "DiGraph"}),
        ("gn_graph", {"n": 12}),
    ],
)
def test_twelve_players_that_can_play(name, arguments):
    G = generate_graph(name, seed=3, **arguments)
    assert list(G) == list(range(12))
    assert type(G) in (nx.Graph, nx.DiGraph)
    validate(attach_alpha(G))


def test_the_seed_decides():
    first, same, other = (generate_graph("small_world", n=40, p=0.5, seed=seed).edges for seed in (1, 1, 2))
    assert set(first) == set(same)
    assert set(first) != set(other)
    unseeded = [set(generate_graph("small_world", n=40, p=0.5).edges) for _ in range(2)]
    assert unseeded[0] != unseeded[1]


def test_parallel_edges_and_self_loops_are_dropped():
    G = generate_graph("scale_free_graph", n=50, seed=1)
    assert type(G) is nx.DiGraph
    assert nx.number_of_selfloops(G) == 0


def test_every_name_makes_a_graph_or_says_what_it_takes():
    made = 0
    for name in generator_names():
        with contextlib.suppress(GeneratorError):
            made += len(generate_graph(name, seed=0)) > 0
    assert made > 20


def test_only_makers_of_graphs_are_listed():
    assert not {"pagerank", "is_valid_joint_degree", "ego_graph", "line_graph", "read_graphml"} & set(generator_names())


@pytest.mark.parametrize(
    ("name", "arguments", "error", "message"),
    [
        (
            "watts_strogatz",
            {},
            UnknownNameError,
            "unknown generator 'watts_strogatz'; did you mean 'watts_str",
        ),
        ("pagerank", {}, UnknownNameError, "unknown generator 'pagerank'"),
        ("star", {"m": 3}, GeneratorError, "star got m and lacks n, expected n; change"),
        (
            "watts_strogatz_graph",
            {"n": 5, "k": 9, "p": 0},
            GeneratorError,
            "refuses n=5, k=9, p=0: .*; it takes n, k",
        ),
        ("cycle_graph", {"n": 3, "create_using": "list"}, GeneratorError, "expected 'Graph' or 'DiGraph'"),
        ("empty_graph", {"n": 0}, GeneratorError, "made an empty graph, expected .* at least one player"),
        ("graph_atlas_g", {}, GeneratorError, "made list, expected a graph"),
    ],
)
def test_refusals(name, arguments, error, message):
    with pytest.raises(error, match=message):
        generate_graph(name, **arguments)


def test_edges_are_given_by_the_names_of_their_players():
    G = generate_graph("edges", edges=[["en", "fr"], ["fr", "es"], ["es", "en"], ["es", 4]])
    assert list(G) == ["en", "fr", "es", 4]
    assert G.number_of_edges() == 4
    validate(attach_alpha(G))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"edges": ["ab", "bc"]},
            r"edges are \['ab', 'bc'\], expected pairs of players, such as \[\[a, b\], \[b, c\]\]",
        ),
        ({"edges": [["a", "b", 3]]}, "expected pairs of players"),
        ({"edges": "ab"}, "edges are 'ab', expected pairs of players"),
        ({"edges": []}, "edges made an empty graph"),
        ({"edges": [[["a"], "b"]]}, "edges refuses"),
        ({}, "edges lacks edges"),
        ({"edges": [["a", "b"]], "n": 3}, "edges got n"),
    ],
)
def test_edges_that_make_no_graph_are_refused(arguments, message):
    with pytest.raises(GeneratorError, match=message):
        generate_graph("edges", **arguments)
