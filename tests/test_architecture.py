"""Imports point down only, heavy libraries stay in their rooms, and no room grows too full."""

import ast
from collections import Counter
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1] / "pipeline"

# From the top of the house to the ground; rooms of one floor do not know each other.
FLOORS = [
    {"__main__"},
    {"cli"},
    {"tracking"},
    {"reports"},
    {"diagnosis"},
    {"search"},
    {"trial"},
    {"profiling", "evaluation"},
    {"training"},
    {"models"},
    {"data", "hardware"},
    {"frontier_sampler", "settings"},
    {"frontier"},
    {"files", "backend"},
    {"measures", "signals", "processes", "secrets", "formatting", "output"},
    {"errors", "__version__"},
]
LIBRARIES = {
    "hydra": {"cli"},
    "omegaconf": {"cli"},
    "rich": {"cli"},
    "mlflow": {"tracking"},
    "matplotlib": {"reports"},
    "plotly": {"reports"},
    "optuna": {"search", "frontier_sampler"},
    "ray": {"search"},
    "tensorflow": {"backend"},
}
MOST_MODULES = 18
OURS = {"pipeline", "benchmarks", "examples", "tools", "tests"}
OWN = {"self", "cls", "super()"}
PATCHING = {"patch.object", "setattr", "getattr", "monkeypatch.setattr"}
FILES = sorted(ROOT.rglob("*.py"))


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def floor_of(room: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if room in rooms)


def imports_of(path: Path, with_types: bool = False) -> Iterator[str]:
    """Yield the dotted names of all imports at any depth, save those for types alone unless asked for."""
    tree = ast.parse(path.read_text())
    for_types = (
        set()
        if with_types
        else {
            id(node)
            for block in ast.walk(tree)
            if isinstance(block, ast.If) and getattr(block.test, "id", "") == "TYPE_CHECKING"
            for node in ast.walk(block)
        }
    )
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_imports_point_down_and_libraries_stay_in_their_rooms() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in FILES
        if path != ROOT / "__init__.py"
        for name in imports_of(path)
        if not may_import(room_of(path), name)
    ]
    assert wrong == [], "a room imports those below it alone, and each library has its rooms"


def may_import(room: str, name: str) -> bool:
    library, *inside = name.split(".")
    if library != "pipeline":
        return room in LIBRARIES.get(library, {room})
    return inside[0] == room or floor_of(room) < floor_of(inside[0])


def test_no_modules_import_each_other_in_a_circle_not_even_for_types() -> None:
    names = {".".join(("pipeline", *path.relative_to(ROOT).with_suffix("").parts)): path for path in FILES}
    graph = {
        name: {
            found
            for imported in imports_of(path, with_types=True)
            for found in (imported, imported.rpartition(".")[0])
            if found in names and found != name
        }
        for name, path in names.items()
    }
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


@pytest.mark.parametrize("folder", ["benchmarks", "examples", "tools", "tests"])
def test_what_stands_outside_uses_public_names_alone(folder: str) -> None:
    """A name with an underscore in front may change with any commit; tests may exchange it, not import it."""
    private = [
        f"{path.relative_to(ROOT.parent)}:{line} {name}"
        for path in sorted((ROOT.parent / folder).rglob("*.py"))
        for line, name in private_names_of(ast.parse(path.read_text()), is_test=folder == "tests")
    ]
    assert private == []


@pytest.mark.parametrize("folder", ["benchmarks", "examples", "tools"])
def test_what_stands_outside_names_what_is_there(folder: str) -> None:
    """No type checker looks at these, and most of them no test runs."""
    absent = [
        f"{path.relative_to(ROOT.parent)}: {name}"
        for path in sorted((ROOT.parent / folder).rglob("*.py"))
        for name in absent_names_of(ast.parse(path.read_text()))
    ]
    assert absent == []


def absent_names_of(tree: ast.Module) -> Iterator[str]:
    """Yield what a module imports of ours, or reads off a module of ours, that is not there."""
    modules: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in OURS:
            for alias in node.names:
                if file_of(f"{node.module}.{alias.name}"):
                    modules[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                elif alias.name not in names_in(node.module):
                    yield f"{node.module}.{alias.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            module = modules[node.value.id]
            if node.attr not in names_in(module) and not file_of(f"{module}.{node.attr}"):
                yield f"{module}.{node.attr}"


def file_of(module: str) -> Path | None:
    """Return the file of a module of ours by its dotted name; None where there is no such module."""
    path = ROOT.parent.joinpath(*module.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


@cache
def names_in(module: str) -> set[str]:
    """Return the names that a module defines or imports, at any depth; those of its syntax tree."""
    file = file_of(module)
    nodes = list(ast.walk(ast.parse(file.read_text()))) if file else []
    imported = {
        alias.asname or alias.name.split(".")[0]
        for node in nodes
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    defined = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    assigned = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return imported | defined | assigned | {"__doc__", "__file__", "__name__"}


def private_names_of(tree: ast.Module, *, is_test: bool) -> Iterator[tuple[int, str]]:
    """Yield the names of ours that a module imports, reads off an object, or exchanges in one."""
    foreign = set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom | ast.Import):
            of_ours = (getattr(node, "module", None) or "").split(".")[0] in OURS
            names = [alias.name for alias in node.names]
            foreign |= (
                set() if of_ours else {(alias.asname or alias.name).split(".")[0] for alias in node.names}
            )
            yield from ((node.lineno, name) for name in names if of_ours and is_private(name))
    if is_test:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr) and ast.unparse(node.value) not in OWN:
            if ast.unparse(node.value).split(".")[0] not in foreign:
                yield node.lineno, ast.unparse(node)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in PATCHING:
            texts = [arg.value for arg in node.args[1:2] if isinstance(arg, ast.Constant)]
            yield from ((node.lineno, text) for text in texts if is_private(str(text)))


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def test_no_folder_is_too_full_and_the_top_level_is_small() -> None:
    fullest, modules = Counter(path.parent for path in FILES).most_common(1)[0]
    assert modules <= MOST_MODULES, f"{fullest.relative_to(ROOT)} holds {modules} modules"
    assert len({room_of(path) for path in FILES}) <= 26
