"""What the packages and modules say they offer: it exists, it is sorted, and it is documented."""

import ast
import inspect
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ["agents", "games", "runners", "topology"]
PACKAGES = [*FOLDERS, "agents/models"]
MODULES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
# Neither offers names of its own: the one hands names on, the other is run.
WITHOUT_NAMES = {"__init__.py", "__main__.py"}


def relative(path: Path) -> str:
    """How a test that runs over files names one of them."""
    return path.relative_to(ROOT).as_posix()


def dotted(path: Path) -> str:
    """The import name of a source file."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(["nashgossip", *parts]).removesuffix(".__init__")


def exported(folder: str) -> list[tuple[str, str]]:
    """Module and name of each import in the stub of a package, in the order of the stub."""
    tree = ast.parse((ROOT / folder / "__init__.pyi").read_text(encoding="utf-8"))
    return [
        (node.module or "", alias.name)
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]


def order(name: str) -> tuple[int, str]:
    """Constants, then classes, then functions, each in order of the alphabet: as ruff sorts (RUF022)."""
    rank = 0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2
    return rank, name


def test_every_package_is_covered():
    assert {path.parent.relative_to(ROOT).as_posix() for path in MODULES if path.name == "__init__.py"} == set(PACKAGES)


@pytest.mark.parametrize("folder", PACKAGES)
def test_a_package_offers_what_its_stub_names(folder):
    package = import_module(dotted(ROOT / folder))
    names = [name for _, name in exported(folder)]
    assert len(names) == len(set(names))
    assert package.__all__ == sorted(names)
    assert set(package.__all__) <= set(dir(package))
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = package.no_such_name


@pytest.mark.parametrize("folder", PACKAGES)
def test_a_name_comes_from_a_module_that_offers_it(folder):
    for module, name in exported(folder):
        if module:
            package = import_module(dotted(ROOT / folder))
            home = import_module(f"{package.__name__}.{module}")
            assert name in home.__all__, f"{folder}/{module} hands on {name} without listing it"
            assert getattr(package, name) is getattr(home, name)


@pytest.mark.parametrize("folder", PACKAGES)
def test_a_type_checker_sees_the_same_names(folder):
    tree = ast.parse((ROOT / folder / "__init__.pyi").read_text(encoding="utf-8"))
    again = {
        alias.asname
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname == alias.name
    }
    listed = set(literal_all(tree) or [])
    missing = [name for _, name in exported(folder) if name not in again | listed]
    assert missing == [], "a stub hands a name on by `from .m import x as x` or by its `__all__`"


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_a_module_says_first_what_it_is_for(path):
    documentation = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert documentation, "a module opens with one line that says what it is for"
    assert len(documentation.splitlines()) == 1 or documentation.splitlines()[1] == ""


@pytest.mark.parametrize("path", [path for path in MODULES if path.name not in WITHOUT_NAMES], ids=relative)
def test_a_module_lists_its_names_before_it_imports(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = literal_all(tree)
    assert names is not None, "a module lists what it offers in `__all__`, as a literal"
    assert names == sorted(set(names), key=order)
    imports = [
        node.lineno
        for node in tree.body
        if isinstance(node, ast.Import) or (isinstance(node, ast.ImportFrom) and node.module != "__future__")
    ]
    (place,) = (node.lineno for node in tree.body if is_all(node))
    assert all(place < line for line in imports), "`__all__` stands before the imports"


@pytest.mark.parametrize("path", [path for path in MODULES if path.name not in WITHOUT_NAMES], ids=relative)
def test_what_a_module_offers_exists_and_is_documented(path):
    module = import_module(dotted(path))
    assert [name for name in module.__all__ if not hasattr(module, name)] == []
    assert [name for name in module.__all__ if not is_documented(getattr(module, name))] == []


@pytest.mark.parametrize("path", [path for path in MODULES if path.name not in WITHOUT_NAMES], ids=relative)
def test_what_is_not_private_is_listed(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    defined = {
        node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    }
    public = {name for name in defined if not name.startswith("_")}
    assert public - set(literal_all(tree) or []) == set(), "list it in `__all__`, or begin its name with `_`"


def test_the_documentation_check_sees_a_missing_docstring():
    from dataclasses import dataclass

    @dataclass
    class Bare:
        field: int

    @dataclass
    class Described:
        """Something."""

        field: int

    assert not is_documented(Bare)
    assert is_documented(Described)
    assert not is_documented(lambda: None)
    assert is_documented(3.0)


def is_all(node: ast.stmt) -> bool:
    """Whether a statement is `__all__ = ...`."""
    return isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__"


def literal_all(tree: ast.Module) -> list[str] | None:
    """The names in `__all__`, or None where a module has none."""
    return next((ast.literal_eval(node.value) for node in tree.body if is_all(node)), None)


def is_documented(thing: object) -> bool:
    """Whether a class or function has a docstring of its own; other things, constants say, need none."""
    if not (inspect.isclass(thing) or inspect.isroutine(thing)):
        return True
    text = thing.__doc__ or ""
    # A dataclass without a docstring gets its signature for one.
    return bool(text.strip()) and not text.startswith(f"{thing.__name__}(")
