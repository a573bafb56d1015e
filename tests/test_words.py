"""The code speaks the field's language: no private dialect, one home a class, docstrings with a verb."""

import ast
import functools
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import TypeGuard

import pytest

ROOT = Path(__file__).resolve().parents[1] / "pipeline"
FILES = sorted(ROOT.rglob("*.py"))
ROOMS = sorted({path.relative_to(ROOT).parts[0] for path in FILES})

# Words that stood for many things at once; DESIGN.md has the figures.
DIALECT = """
ahead aside at beside beyond each found given ground held here kept known least most one other own part
parts place said seen spent taken there told wanted whole again
"""
VERBS = """
accept add align allow answer append apply approximate arrange ask assemble assert assign average begin
bind blur bound break bring build calculate call cast change check choose claim clear click close
collect combine compare compile compose compress compute confirm connect convert copy correct count
create crop cut decide decode decompose delete describe detect divide do download draw drop encode end
ensure estimate evaluate exchange expand explain export fetch fill filter find finish fit flatten follow
forget format free gather get give go group guess handle hash hide hold import improve initialise insert
join judge keep label launch lay leave let limit list load lock log look make map mark mask match
measure merge move name normalise note offer open order pack parse pause pick plant play plot predict
prepare print propose prune publish put quote raise rank read rebuild receive record reduce refuse
register reject release remove rename render repeat replace report requeue require resample reserve
reset resolve restore resume return rotate round run sample save say scale score search select send
serve set share shift shorten show shrink shuffle simulate skip smooth sort split standardise start stay
step stop store stream submit subtract suggest sum synchronise take tell terminate test time tokenise
top trace train translate trim try turn undo unpack update use validate verify wait walk warm weigh
whiten widen work wrap write yield
"""
MOST_DIALECT, LEAST_VERBS = 0.01, 0.6


def trees(room: str) -> Iterator[tuple[Path, ast.Module]]:
    for path in FILES:
        if path.relative_to(ROOT).parts[0] == room:
            yield path, parse(path)


@functools.cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def names_of(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield every name that is assigned or is a parameter, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno


@pytest.mark.parametrize("room", ROOMS)
def test_names_say_what_a_thing_is(room: str) -> None:
    names = [(path, *name) for path, tree in trees(room) for name in names_of(tree)]
    dialect = [
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path, name, line in names
        if name.strip("_") in DIALECT.split()
    ]
    assert len(dialect) <= MOST_DIALECT * len(names), "\n".join(dialect)


def test_a_class_name_has_one_home() -> None:
    homes = defaultdict(set)
    for room in ROOMS:
        for path, tree in trees(room):
            for node in ast.walk(tree):
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    homes[node.name].add(str(path.relative_to(ROOT)))
    assert {name: sorted(files) for name, files in homes.items() if len(files) > 1} == {}


@pytest.mark.parametrize("room", ROOMS)
def test_docstrings_of_functions_begin_with_a_verb(room: str) -> None:
    first_words = {
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}": docstring.split()[0].strip("`.,:;").lower()
        for path, tree in trees(room)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (docstring := ast.get_docstring(node))
    }
    others = [f"{place}: {word}" for place, word in first_words.items() if word not in VERBS.split()]
    assert len(others) <= (1 - LEAST_VERBS) * len(first_words), "\n".join(others)


def test_what_is_public_says_what_it_does() -> None:
    """A method may leave that to the protocol or the base class that has it, too."""
    functions = [
        (f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", node)
        for room in ROOMS
        for path, tree in trees(room)
        for node in public_functions_of(tree)
    ]
    explained = {node.name for _, node in functions if ast.get_docstring(node)}
    assert [place for place, node in functions if node.name not in explained] == []


def public_functions_of(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    """Yield the public functions of a module, and the public methods of its public classes."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from (part for part in node.body if is_public_function(part))
        elif is_public_function(node):
            yield node


def is_public_function(node: ast.AST) -> TypeGuard[ast.FunctionDef]:
    return isinstance(node, ast.FunctionDef) and not node.name.startswith("_")


@pytest.mark.parametrize("room", ROOMS)
def test_values_of_many_fields_are_built_by_name(room: str) -> None:
    """Positional arguments of a dataclass of more than five fields tell a reader nothing."""
    positional = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path, tree in trees(room)
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and is_positional(node)
    ]
    assert positional == []


def is_positional(node: ast.ClassDef) -> bool:
    decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
    fields = sum(isinstance(statement, ast.AnnAssign) for statement in node.body)
    return fields > 5 and any(
        text.startswith("dataclass") and "kw_only=True" not in text for text in decorators
    )
