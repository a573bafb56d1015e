"""A user's module that has the name of this program's own package, which Python would take for it."""

import ast
import sys
from collections.abc import Iterator
from importlib.machinery import PathFinder
from pathlib import Path

from pipeline.settings.addresses import CHECKOUT, PACKAGE

NAME = __name__.partition(".")[0]


def explain_namesake(module: str) -> str:
    """Explain why a user's module cannot be imported here: what it means by `NAME` is not this package.

    "" where it can. A process has one module of a name, and this package is there first.
    """
    namesake = next(filter(None, map(_find_elsewhere, ["", *sys.path])), None)
    if namesake is None:
        return ""
    top = module.partition(".")[0]
    if top != NAME and not any(map(_imports_namesake, _list_files(top))):
        return ""
    alternative = ", or install this program without --editable: it is fulcrum_ml then" if CHECKOUT else ""
    return f"{namesake} has the name of this program's own package; rename it{alternative}"


def explain_hidden(module: str) -> str:
    """Tell what to do where a loaded module hides a file of its name in the working folder; else ""."""
    top = module.partition(".")[0]
    own = next((path for path in (Path(f"{top}.py"), Path(top)) if path.exists()), None)
    if own is None or top not in sys.modules:
        return ""
    loaded = getattr(sys.modules[top], "__file__", None)
    if loaded and Path(loaded).resolve().is_relative_to(own.resolve()):
        return ""
    return f"rename {own}: another module of its name is loaded already ({loaded or 'of Python itself'})"


def _find_elsewhere(folder: str) -> Path | None:
    """Find what is called as this package in a folder of the import path, and is another."""
    spec = PathFinder.find_spec(NAME, [folder])
    if spec is None:
        return None
    path = Path(spec.origin or next(iter(spec.submodule_search_locations or ()), "")).resolve()
    is_code = path.is_file() or any(path.glob("*.py"))
    return path if is_code and not path.is_relative_to(PACKAGE) else None


def _list_files(top: str) -> Iterator[Path]:
    """List the files of a user's package or module, and of the modules beside it that they import."""
    spec = PathFinder.find_spec(top, ["", *sys.path])
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()] if spec else []
    waiting = [path for folder in folders for path in sorted(folder.rglob("*.py"))]
    if spec and spec.origin and not folders:
        waiting.append(Path(spec.origin))
    visited = set[Path]()
    while waiting:
        path = waiting.pop()
        if path in visited or path.suffix != ".py" or path.is_relative_to(PACKAGE):
            continue
        visited.add(path)
        yield path
        neighbours = [path.with_name(f"{name.partition('.')[0]}.py") for name in _list_imports(path)]
        waiting += [neighbour for neighbour in neighbours if neighbour.is_file()]


def _list_imports(path: Path) -> Iterator[str]:
    """List the dotted names that a file imports, at any depth."""
    try:
        nodes = list(ast.walk(ast.parse(path.read_bytes())))
    except (OSError, SyntaxError, ValueError):  # importing it says so
        return
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _imports_namesake(path: Path) -> bool:
    """Return whether a file imports something by the name of this package that this package has not."""
    for name in _list_imports(path):
        top, _, rest = name.partition(".")
        submodule = PACKAGE / rest.partition(".")[0]
        if top == NAME and not (rest and (submodule.is_dir() or submodule.with_suffix(".py").is_file())):
            return True
    return False
