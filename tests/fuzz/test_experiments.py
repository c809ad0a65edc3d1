"""Experiment and study files of any content give a game that can be played, or an error that says what is wrong."""

import copy
import re
from importlib import resources
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import yaml
from hypothesis import strategies as st
from pydantic import BaseModel

from nashgossip.games import FAMILIES
from nashgossip.runners import build_game
from nashgossip.runners.blackboxes import BLACK_BOXES
from nashgossip.runners.experiment import Experiment, dump_experiment, parse_experiment
from nashgossip.runners.neural_games import build_watch
from nashgossip.runners.session import engine_options
from nashgossip.runners.study_file import dump_study, parse_study
from nashgossip.topology import generator_names

from .attempts import Surface
from .mutations import anything, hostile, mostly, mutated_text, names, numbers, plain


def _built_in(folder: str) -> dict[str, str]:
    entries = resources.files("nashgossip.runners").joinpath(folder).iterdir()
    return {e.name.removesuffix(".yaml"): e.read_text("utf-8") for e in entries if e.name.endswith(".yaml")}


EXPERIMENTS, STUDIES = _built_in("experiments"), _built_in("studies")
WORDS = sorted({word for text in [*EXPERIMENTS.values(), *STUDIES.values()] for word in re.findall(r"[\w.-]+:?", text)})
TAGS = [
    "!!python/object/apply:os.system ['touch ../out']",
    "!!python/name:os.system",
    "!!python/object/new:pathlib.Path ['../out']",
    "!!bool maybe",
    "!!int ''",
    "!!float ''",
    "!!timestamp never",
    "!!binary é",
    "!!set {a, b}",
    "!!omap [a: 1]",
    "!!pairs [a: 1]",
    "!!null x",
    "&a [*a]",
    "&a {a: *a}",
    "*nobody",
    "<<: *nobody",
    "<<: 3",
    "? [1, 2]\n: 3",
    "? {a: 1}\n: 3",
    "0x" + "f" * 5000,
    "9" * 5000,
    "1:1:1:1",
    "2024-13-45",
    "2024-02-02",
    "=",
    "[" * 300,
    "{a: " * 500,
    "- " * 900,
    "%YAML 9.9",
    "---",
    "...",
    "\ufeff",
    "'",
    '"\\ud800"',
    "|",
    ">-",
    "name: ../../out",
    "topology: {generator: complete, arguments: {n: 1000000}}",
    "topology: {generator: ring, arguments: {n: 1000000000000}}",
    "topology: {file: ../../../etc/passwd}",
    "data: {rows: 1000000000000}",
    "model: {family: gaussian, dimension: 1000000000}",
]
BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{k}: &a{k} [*a{k - 1}, *a{k - 1}]\n" for k in range(1, 40))
BOMBS = [BOMB, BOMB + "topology: *a39\n", "variants: &v {a: {b: {c: *v}}}\n", BOMB + EXPERIMENTS["ring"]]
texts = (
    mutated_text([*EXPERIMENTS.values(), *BOMBS], [*WORDS, *TAGS])
    | anything
    | st.binary(max_size=40).map(lambda data: data.decode("latin-1"))
)
study_texts = mutated_text([*STUDIES.values(), *BOMBS], [*WORDS, *TAGS]) | anything


def parse(text: str, folder: Path) -> None:
    """An experiment that was read is written, and read again as the same."""
    experiment = parse_experiment(text)
    assert parse_experiment(dump_experiment(experiment)) == experiment


def parse_studies(text: str, folder: Path) -> None:
    """A study that was read is written, and read again as the same; the experiment in it is one."""
    study = parse_study(text)
    assert parse_study(dump_study(study)) == study
    study.base()


SMALL = {
    "topology": {"generator": "ring", "arguments": {"n": 4}},
    "model": {"family": "gaussian", "dimension": 2},
    "data": {"rows": 20},
    "play": {"moves": 5, "samples": 10},
    "name": "small",
}
KINDS: list[Any] = [
    SMALL,
    SMALL | {"model": {"family": "bernoulli"}, "data": {"source": "digits", "split": {"kind": "iid"}}},
    SMALL | {"model": {"kind": "table"}, "data": {"source": "random-tables"}},
    SMALL | {"model": {"kind": "empirical"}, "data": {"source": "digits"}},
    SMALL | {"model": {"kind": "conditional-gaussian"}, "data": {"source": "breast-cancer"}},
    SMALL
    | {
        "play": {"runner": "virtual", "moves": 5},
        "network": {
            "latency": {"kind": "constant", "mean": 0.5},
            "edges": [{"sender": "0", "listener": "1", "loss": 0.1}],
        },
        "changes": {"kind": "rewiring", "every": 2.0},
    },
    SMALL
    | {
        "play": {"runner": "virtual", "moves": 50},
        "changes": {"kind": "membership", "events": [[2.0, "1", "leave"], [3.0, "1", "join"]]},
        "network": {"partitions": [{"start": 1.0, "end": 2.0, "groups": [["0", "1"], ["2", "3"]]}]},
    },
    SMALL | {"conduct": {"share": 0.25, "behaviour": {"kind": "liar"}}, "defence": {"screen": {}}},
    SMALL | {"alpha": {"self_weight": {"default": 0.3, "0": 0.1}}, "gossip": {"fan_out": 1, "style": "pull"}},
    SMALL | {"topology": {"generator": "regular", "arguments": {"n": 20}}, "play": {"runner": "fleet"}},
    SMALL | {"topology": {"generator": "edges", "arguments": {"edges": [["a", "b"], ["b", "c"]]}}},
]


INTEGERS = st.sampled_from([0, 1, 2, 3, 4, 7, 40, 10**6, 10**9, 10**12, 2**63, -1])
FLOATS = st.sampled_from([0.0, 0.1, 0.5, 1.0, 2.0, 50.0, 1e-300, 1e-9, 1e9, 1e300, -1.0, float("inf"), float("nan")])
OPTIONS = {
    "topology.arguments": ["n", "k", "p", "d", "m", "r", "h", "edges", "create_using", "radius", "sizes", "sequence"],
    "data.options": ["binarize", "part", "root", "file", "players", "rows", "seed", "languages", "variables", "size"],
    "data.split.options": ["concentration", "classes_per_player", "assignment", "rows", "minimum", "sizes", "shares"],
    "model.options": [
        "variables",
        "label",
        "step",
        "smoothing",
        "shape",
        "trials",
        "total",
        "components",
        "n",
        "order",
    ],
    "conduct.behaviour": ["kind", "how", "by", "rows", "share", "times", "factor"],
}
GENERATORS = [*generator_names(), "array_k_out", "array_regular", "array_small_world"]
NAMED = {
    "topology.generator": st.sampled_from(GENERATORS),
    "model.kind": st.sampled_from(sorted(BLACK_BOXES)),
    "model.family": st.sampled_from(sorted(FAMILIES)),
    "data.source": st.sampled_from(["digits", "synthetic", "random-tables", "breast-cancer", "npz", "words"]),
    "data.split.kind": st.sampled_from(["iid", "label", "dirichlet", "quantity", "few", "whole", "sizes"]),
    "play.runner": st.sampled_from(["rounds", "virtual", "fleet", "ray"]),
}
HOLLOW = st.dictionaries(st.sampled_from(["0", "1", "default", "x"]), plain | numbers, max_size=2)


def _fields(model: Any, prefix: str = "") -> Any:
    """Every dotted key of an experiment, and values that its type may take."""
    for name, field in model.model_fields.items():
        kind, key = field.annotation, prefix + name
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _fields(kind, key + ".")
        elif key in OPTIONS:
            yield from ((f"{key}.{option}", INTEGERS | FLOATS | plain) for option in OPTIONS[key])
        elif key in NAMED:
            yield key, NAMED[key]
        elif get_origin(kind) is Literal:
            yield key, st.sampled_from(get_args(kind))
        else:
            text = str(kind)
            yield (
                key,
                INTEGERS if "int" in text else FLOATS if "float" in text else HOLLOW if "dict" in text else hostile,
            )


FIELDS = dict(_fields(Experiment))
LIKELY = [
    key for key in FIELDS if key in NAMED or key.startswith(tuple(OPTIONS)) or key in ("data.rows", "model.dimension")
]


@st.composite
def trees(draw: st.DrawFn) -> Any:
    """An experiment with a few keys set to values of their types, and sometimes of any."""
    tree = copy.deepcopy(draw(st.sampled_from(KINDS)))
    for _ in range(draw(st.integers(1, 3))):
        key = draw(st.sampled_from(LIKELY) | st.sampled_from(sorted(FIELDS)))
        *sections, last = key.split(".")
        place = tree
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = draw(mostly(FIELDS[key], plain))
    return tree


def build(content: Any, folder: Path) -> None:
    """The game, the engine's options and the instruments of an experiment, all but playing it."""
    text = yaml.safe_dump(content)
    experiment = parse_experiment(dump_experiment(parse_experiment(text)))
    game = build_game(experiment)
    engine_options(experiment, game)
    build_watch(experiment, game)


keys = st.sampled_from(WORDS) | names
settings = st.tuples(keys, st.sampled_from(TAGS) | numbers.map(str) | hostile.map(str) | st.sampled_from(WORDS))


def change(given: list[tuple[str, str]], folder: Path) -> None:
    """Settings as `--set` takes them."""
    changes = [f"{key}={value}" for key, value in given]
    parse_study({"experiment": "ring"}, settings=changes)
    parse_experiment(EXPERIMENTS["ring"], settings=changes)


SURFACES = [
    Surface("experiment files", texts, parse, 0.6),
    Surface("games of experiments", trees(), build, 0.2),
    Surface("study files", study_texts, parse_studies, 0.4),
    Surface("settings", st.lists(settings, min_size=1, max_size=2), change, 0.5),
]
