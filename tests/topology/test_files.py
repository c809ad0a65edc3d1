"""Graphs in files: what is written comes back, and damaged or hostile files are refused with a reason."""

import gzip
import io

import networkx as nx
import numpy as np
import pytest

from nashgossip.topology import (
    GraphFileError,
    attach_alpha,
    generate_graph,
    mixing_matrix,
    read_graph,
    write_graph,
)


@pytest.mark.parametrize("suffix", ["graphml", "graphml.gz"])
def test_alpha_comes_back_to_the_last_bit(tmp_path, suffix):
    rng = np.random.default_rng(5)
    G = attach_alpha(nx.krackhardt_kite_graph(), dict(enumerate(rng.random(10).tolist())), "degree")
    G.nodes[0].update(rows=7, place=(1, 2))
    write_graph(G, tmp_path / f"kite.{suffix}")
    H = read_graph(tmp_path / f"kite.{suffix}")
    assert list(H) == list(G)
    assert np.array_equal(mixing_matrix(H), mixing_matrix(G))
    assert H.nodes[0] == {"rows": 7}
    assert [path.name for path in tmp_path.iterdir()] == [f"kite.{suffix}"]


def test_numpy_alpha_and_names_of_text(tmp_path):
    G = nx.DiGraph([("a\nb", "c é", {"alpha": np.float64(0.1)}), ("c é", "c é", {"alpha": np.float32(0.1)})])
    write_graph(G, tmp_path / "g.graphml")
    H = read_graph(tmp_path / "g.graphml")
    assert H.edges["a\nb", "c é"]["alpha"] == 0.1
    assert H.edges["c é", "c é"]["alpha"] == float(np.float32(0.1))


@pytest.mark.parametrize("name", ["007", "--5", "-0", "9" * 30])
def test_names_that_only_look_like_numbers_stay_text(tmp_path, name):
    write_graph(nx.Graph([(name, "1")]), tmp_path / "g.graphml")
    assert set(read_graph(tmp_path / "g.graphml")) == {name, "1"}


def test_a_community_graph_can_be_written(tmp_path):
    G = attach_alpha(generate_graph("stochastic_block_model", sizes=[5, 5], p=[[1, 0.5], [0.5, 1]], seed=1))
    write_graph(G, tmp_path / "g.graphml")
    assert read_graph(tmp_path / "g.graphml").nodes[9]["block"] == 1


@pytest.mark.parametrize(
    ("name", "text", "edges"),
    [
        ("g.edgelist", "# who hears whom\n0 1\n\n1 2 # later\n", [(0, 1, None), (1, 2, None)]),
        ("g.txt", "0 1 0.25\n1 0 0.5\n", [(0, 1, 0.25), (1, 0, 0.5)]),
        ("g.edges", "a,b,0.25\n", [("a", "b", 0.25)]),
        ("g.edgelist", "a b {'alpha': 0.25}\n", [("a", "b", 0.25)]),
        ("g.adjlist", "0 1 2\n2 0\n", [(0, 1, None), (0, 2, None), (2, 0, None)]),
    ],
)
@pytest.mark.parametrize("compress", [False, True])
def test_lists(tmp_path, name, text, edges, compress):
    data = text.encode()
    path = tmp_path / (name + ".gz" if compress else name)
    path.write_bytes(gzip.compress(data) if compress else data)
    G = read_graph(path, directed=True)
    assert list(G.edges(data="alpha")) == edges
    assert G.is_directed()


def test_lists_are_undirected_unless_said_otherwise(tmp_path):
    (tmp_path / "g.edgelist").write_text("0 1\n1 0\n")
    assert list(read_graph(tmp_path / "g.edgelist").edges) == [(0, 1)]


NAMESPACE = '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">'
HEAD = NAMESPACE + '<key id="a" for="edge" attr.name="alpha" attr.type="'
BODY = '"/><graph edgedefault="directed"><node id="x"/><node id="y"/>'
BOMB = '<?xml version="1.0"?><!DOCTYPE g [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><graphml>&b;</graphml>'


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("g.graphml", BOMB.encode(), "declares a document type, expected GraphML without"),
        ("g.graphml", BOMB.encode("utf-16"), "declares a document type"),
        ("g.graphml", HEAD.encode(), "is not well-formed XML"),
        ("g.graphml", b"<html></html>", "is not GraphML that networkx can read"),
        ("g.graphml", (HEAD + "wonder" + BODY + "</graph></graphml>").encode(), "is not GraphML"),
        (
            "g.graphml",
            NAMESPACE.encode() + b"<graph/></graphml>",
            "not GraphML|no player",
        ),
        (
            "g.graphml",
            (HEAD + "double" + BODY + '<edge source="x" target="y"><data key="a">1</data></edge>' * 2).encode()
            + b"</graph></graphml>",
            r"parallel edges \('x', 'y'\) with alpha, expected one edge a pair",
        ),
        ("g.graphml", b" \n", "is empty, expected a graph"),
        ("g.graphml.gz", b"not gzip", "is not a whole gzip file"),
        ("g.graphml.gz", gzip.compress(b"<graphml/>" * 50, mtime=0)[:-9], "is not a whole gzip file"),
        ("g.edgelist", b"# nobody\n", "holds no player"),
        ("g.edgelist", b"0 1\n2\n", "line 2 of .* is '2', expected 'j i', 'j i alpha' or"),
        ("g.edgelist", b"0 1 heavy\n", "line 1 of .* is '0 1 heavy'"),
        ("g.edgelist", b"0 1 {'alpha': open('x')}\n", "line 1 of"),
        (
            "g.edgelist",
            b"0 1 0.5\n1 0 0.2\n",
            r"line 2 of .* gives edge \('1', '0'\) again .* pass directed=True",
        ),
        ("g.edgelist", b"\xff\xfe\x00\x01", "is not UTF-8 text"),
        ("g.adjlist", b"0 1 {'alpha': 1}\n", "line 1 of .* expected names only"),
        ("g.gml", b"graph []", "suffix '.gml', expected one of .graphml"),
    ],
)
def test_damaged_and_hostile_files(tmp_path, name, data, message):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(GraphFileError, match=message):
        read_graph(tmp_path / name)


def test_no_such_file(tmp_path):
    with pytest.raises(GraphFileError, match=r"no file .*nowhere.graphml, expected a graph there"):
        read_graph(tmp_path / "nowhere.graphml")
    (tmp_path / "folder.graphml").mkdir()
    with pytest.raises(GraphFileError, match="cannot be read, expected a file"):
        read_graph(tmp_path / "folder.graphml")


@pytest.mark.parametrize(
    ("G", "name", "message"),
    [
        (nx.path_graph(2), "g.edgelist", "cannot write g.edgelist, expected a name ending in .graphml"),
        (nx.MultiGraph([(0, 1)]), "g.graphml", "cannot write a MultiGraph, expected"),
        (nx.Graph([(1, "1")]), "g.graphml", "several players are called '1' as text"),
        (nx.Graph([("\x00", "1")]), "g.graphml", "that XML can hold: .*; rename them"),
        (nx.path_graph(2), "missing/g.graphml", "check that its folder exists"),
    ],
)
def test_what_cannot_be_written(tmp_path, G, name, message):
    with pytest.raises(GraphFileError, match=message):
        write_graph(G, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_graph_is_written_into_an_open_file_as_under_a_name(tmp_path):
    G = attach_alpha(nx.path_graph(3), 0.1)
    write_graph(G, tmp_path / "a.graphml")
    buffer = io.BytesIO()
    write_graph(G, buffer)
    assert buffer.getvalue() == (tmp_path / "a.graphml").read_bytes()
    with pytest.raises(GraphFileError, match="cannot write a MultiGraph"):
        write_graph(nx.MultiGraph(G), buffer)


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "g.graphml"
    write_graph(nx.path_graph(2), path)
    with pytest.raises(GraphFileError):
        write_graph(nx.Graph([("\x00", "1")]), path)
    assert len(read_graph(path)) == 2
