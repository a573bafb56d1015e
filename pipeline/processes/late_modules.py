"""Parts of large libraries that are imported in name alone, and executed when somebody uses them."""

import sys
import threading
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any


class _LateLoader(Loader):
    """Executes a module when somebody asks for what is in it.

    The `LazyLoader` of `importlib` executes it for any name, also for those such as `__file__` for which
    TensorFlow walks over all modules when it reads the source of what it traces.
    """

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def exec_module(self, module: ModuleType) -> None:
        """Have the module execute itself, once, when a name is looked for that is not there yet."""
        lock, names = threading.RLock(), module.__dict__
        waiting = [self._loader]

        def execute() -> None:
            with lock:  # a second thread waits until all names are there
                while waiting:
                    loader = waiting.pop()
                    try:
                        loader.exec_module(module)
                    except BaseException:
                        waiting.append(loader)
                        raise

        def find(name: str) -> Any:
            if not name.startswith("__"):
                execute()
            if name not in names:
                raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
            return names[name]

        def list_names() -> list[str]:
            execute()
            return sorted(names)

        names.update(__getattr__=find, __dir__=list_names)


class _LateFinder(MetaPathFinder):
    """Finds the modules that are put off."""

    def __init__(self) -> None:
        self.names = set[str]()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find one of them; None for any other."""
        spec = PathFinder.find_spec(fullname, path, target) if fullname in self.names else None
        if spec is not None and spec.loader is not None:
            spec.loader = _LateLoader(spec.loader)
        return spec


_finder = _LateFinder()


def put_off(*names: str) -> None:
    """Let modules of these names be executed only when something in them is used.

    What is imported already stays as it is, and modules within a package of such a name are executed as ever.
    """
    _finder.names.update(names)
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
