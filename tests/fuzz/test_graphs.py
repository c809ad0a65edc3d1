"""Graph files and sequences of them give a graph or an error, whatever bytes they hold and whatever they name."""

import gzip
import inspect
import io
import json
from pathlib import Path
from typing import Any

import networkx as nx
from hypothesis import strategies as st

from nashgossip.topology import (
    attach_alpha,
    generate_graph,
    generator_names,
    read_graph,
    read_sequence,
    validate,
    write_graph,
)

from .attempts import Surface
from .mutations import anything, havoc, hostile, mostly, mutated_bytes, mutated_text, names, numbers, plain

SUFFIXES = [".graphml", ".edgelist", ".edges", ".txt", ".adjlist"]


def _graphml(G: Any) -> str:
    buffer = io.BytesIO()
    nx.write_graphml_xml(G, buffer)
    return buffer.getvalue().decode()


def _weighted() -> str:
    buffer = io.BytesIO()
    write_graph(attach_alpha(generate_graph("ring", n=5), 0.3), buffer)
    return buffer.getvalue().decode()


_MULTI = nx.MultiGraph([("a", "b"), ("a", "b"), ("b", "b")])
GRAPHML = [_weighted(), _graphml(nx.path_graph(3)), _graphml(nx.DiGraph([("a", "ü")])), _graphml(_MULTI)]
LISTS = [
    "a b 0.25\nb c 0.5 # c\nc a\n",
    "0 1\n1 2\n2 0\n",
    "0 1 {'alpha': 0.25}\n1 0 {'alpha': 0.5, 'w': [1, 2]}\n",
    "a b c d\nb a\n# nothing\n",
    "1,2\n2,3\n",
]
BOMB = (
    '<!DOCTYPE graphml [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY a{k} "{f"&a{k - 1};" * 10}">' if k else "" for k in range(9)).replace("&a0;", "&a;")
    + "]>"
)
XML = [
    BOMB,
    '<!DOCTYPE graphml [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
    '<!DOCTYPE graphml SYSTEM "http://127.0.0.1:1/x.dtd">',
    '<!ENTITY % p SYSTEM "file:///etc/passwd"> %p;',
    "&x; &a8;",
    '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="/etc/passwd" parse="text"/>',
    '<?xml version="1.0" encoding="utf-16"?>',
    '<?xml version="1.1"?>',
    '<?xml-stylesheet href="file:///etc/passwd"?>',
    "<![CDATA[",
    "<node id='a'><data key='d0'>nan</data></node>",
    "<edge source='a' target='a'/>",
    "<edge source='a' target='zz'/>",
    "<edge id='1' source='0' target='1'><data key='d0'>1e999</data></edge>",
    '<key id="d0" for="edge" attr.name="alpha" attr.type="double"/>',
    '<key id="d0" for="edge" attr.name="alpha" attr.type="boolean"/>',
    '<key id="d0" for="node" attr.name="alpha" attr.type="java.lang.Integer"/>',
    "<port name='x'/>",
    "<hyperedge/>",
    "<graph edgedefault='directed'>" * 2,
    "<graph>" * 3000,
    "<node id=''/>",
]
LINES = [
    "{" * 5000,
    "a b {'alpha': " + "[" * 3000,
    "a b {'alpha': __import__('os').system('touch ../out')}",
    "a b {'alpha': " + "9" * 5000 + "}",
    "a b 1e999",
    "a b nan",
    "a b -1",
    "a b 0x10",
    "a b c d e",
    "a a",
    "a b 0.1\na b 0.2",
    ",,,",
    "\0",
    "\ufeff",
    "9" * 5000 + " 1",
    "-0 0",
]
xml_texts = mutated_text(GRAPHML, XML)
list_texts = mutated_text(LISTS, LINES)


@st.composite
def files(draw: st.DrawFn) -> tuple[str, bytes, bool]:
    """Suffix, content, and whether the lines of lists are one-way."""
    suffix = draw(st.sampled_from([".graphml", *SUFFIXES]))
    text = xml_texts if suffix == ".graphml" else list_texts
    seeds = [seed.encode() for seed in (GRAPHML if suffix == ".graphml" else LISTS)]
    data = draw(text.map(lambda t: t.encode("utf-8", "surrogatepass")) | mutated_bytes(seeds) | st.binary(max_size=60))
    if draw(st.integers(0, 4)) == 0:
        data = draw(mutated_bytes([gzip.compress(data, mtime=0)], 2))
        suffix += ".gz"
    return suffix, data, draw(st.booleans())


def read(given: tuple[str, bytes, bool], folder: Path) -> None:
    """A graph that was read can be checked, or is refused; what has α is validated."""
    suffix, data, directed = given
    file = folder / f"graph{suffix}"
    file.write_bytes(data)
    G = read_graph(file, directed=directed)
    assert len(G) > 0
    if any("alpha" in attributes for _, _, attributes in G.edges(data=True)):
        validate(G)
    else:
        validate(attach_alpha(G, 0.3))


paths = st.sampled_from(
    ["ring.graphml", "sub/star.edgelist", "/etc/passwd", "../out.txt", "link.txt", "sub", ".", "x.yaml"]
)
entries = mostly(
    st.fixed_dictionaries({"time": st.integers(0, 3) | numbers, "file": paths | names | anything}),
    plain | st.dictionaries(st.sampled_from(["time", "file", "x"]), hostile),
)
sequences = mostly(
    st.lists(entries, min_size=1, max_size=3)
    .map(lambda rest: [{"time": 0, "file": "ring.graphml"}, *rest])
    .map(lambda tree: json.dumps(tree).encode()),
    mutated_bytes([b'[{"time": 0, "file": "ring.graphml"}, {"time": 20, "file": "sub/star.edgelist"}]', b"[" * 5000]),
)


def read_changing(data: bytes, folder: Path) -> None:
    """A sequence of graphs: only files beside it or below are opened."""
    (folder / "sub").mkdir()
    (folder / "ring.graphml").write_text(GRAPHML[0], "utf-8")
    (folder / "sub" / "star.edgelist").write_text("0 1\n0 2\n0 3\n0 4\n", "utf-8")
    (folder / "link.txt").symlink_to("/etc/hostname")
    file = folder / "sequence.json"
    file.write_bytes(data)
    found = read_sequence(file)
    assert len(found.graphs) == len(found.times)


values = mostly(
    st.integers(0, 12) | st.sampled_from([0.1, 0.5, 1.0, 2.5]) | st.lists(st.integers(0, 5), max_size=4),
    numbers | plain,
)


TAKEN = {
    name: [key for key in inspect.signature(getattr(nx, name)).parameters if key != "seed"]
    for name in generator_names()
    if inspect.isroutine(getattr(nx, name, None)) or hasattr(getattr(nx, name, None), "orig_func")
}


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A generator, and values of its arguments, some left out and sometimes one too many."""
    name = draw(mostly(st.sampled_from(generator_names()), st.sampled_from(nx.__dir__()) | anything))
    taken = TAKEN.get(name, ["n", "m", "k", "d"])
    wanted = [key for key in taken if draw(st.integers(0, 3))] + (draw(st.integers(0, 9)) == 0) * ["x"]
    return name, {key: draw(values) for key in wanted}


def generate(given: tuple[str, dict[str, Any]], folder: Path) -> None:
    """Any name and any arguments of a generator."""
    name, arguments = given
    assert len(generate_graph(name, seed=1, **arguments)) > 0


SURFACES = [
    Surface("graph files", files(), read, 4.0, lambda given, rng: (given[0], havoc(given[1], rng), given[2])),
    Surface("sequences of graphs", sequences, read_changing, 1.0, havoc),
    Surface("graph generators", requests(), generate, 2.0),
]
