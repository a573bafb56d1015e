"""The code that a saved model is loaded with: the loader and all that it imports, as one zip of Python files.

They lie in it under a name of their own, which holds a hash of them: no other release of this package, and
nobody's package of the same name, is ever taken for them.
"""

import ast
import hashlib
import io
import re
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2]
OWN_NAME = __name__.partition(".")[0]
LOADER = f"{OWN_NAME}.tracking.serving.loader"
OWN_IMPORT = re.compile(rf"^(\s*(?:from|import)\s+){OWN_NAME}\b", re.MULTILINE)
LONG_AGO = (1980, 1, 1, 0, 0, 0)


@cache
def pack_code() -> tuple[str, bytes]:
    """Return the name of the loader in the packed code, and a zip of it; the same for the same code."""
    paths = _find_imported(LOADER)
    sources = {path.relative_to(PACKAGE): path.read_text() for path in sorted(paths)}
    digest = hashlib.sha256(repr(sources).encode()).hexdigest()[:8]
    name = f"fulcrum_{digest}"
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for path, source in sources.items():
            entry = zipfile.ZipInfo(f"{name}/{path}", LONG_AGO)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, OWN_IMPORT.sub(rf"\g<1>{name}", source))
    return LOADER.replace(OWN_NAME, name, 1), content.getvalue()


def _find_imported(module: str) -> set[Path]:
    """Return the files of a module, of all modules of this package that it imports, and of their folders."""
    waiting, files = [module], set[Path]()
    while waiting:
        path = _find_file(waiting.pop())
        if path is None or path in files:
            continue
        files.add(path)
        waiting += list(_read_imports(path))
        waiting += [_name_module(folder) for folder in path.parents if folder.is_relative_to(PACKAGE)]
    return files


def _name_module(folder: Path) -> str:
    return ".".join((OWN_NAME, *folder.relative_to(PACKAGE).parts))


def _find_file(module: str) -> Path | None:
    base = PACKAGE.joinpath(*module.split(".")[1:])
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)


def _read_imports(path: Path) -> Iterator[str]:
    """Yield the names of all of this package that a file imports at any depth; of a name, its module, too.

    Imports for types alone are left out.
    """
    waiting: list[ast.AST] = [ast.parse(path.read_text())]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            continue
        waiting += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith(OWN_NAME))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == OWN_NAME:
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
