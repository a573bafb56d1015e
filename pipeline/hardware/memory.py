"""The memory that this process may use: the machine's, or less where a control group sets a limit."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from pipeline.processes.process_tree import list_tree

CGROUPS, CGROUP_LISTING = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
VM_COUNTERS = Path("/proc/vmstat")

OUT_OF_MEMORY_ERRORS = {"MemoryError", "OutOfMemoryError", "ResourceExhaustedError"}
"""Classes of Python and numpy, of PyTorch, XGBoost and CuPy on a GPU, and of TensorFlow."""
OUT_OF_MEMORY_TEXTS = ("can't allocate memory", "RESOURCE_EXHAUSTED", "bad allocation", "std::bad_alloc")
"""Of a plain RuntimeError: of PyTorch on a CPU, JAX, and libraries in C++."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes: `total` of the machine or the tightest control group, and what is `available` of it."""

    total: int
    available: int


@dataclass(frozen=True, slots=True)
class _Names:
    """What the files of one version of control groups are called."""

    limit: str
    usage: str
    reclaimable: str


_V1 = _Names("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
_V2 = _Names("memory.max", "memory.current", "inactive_file")


def read_memory(groups: Path = CGROUPS, listing: Path = CGROUP_LISTING) -> Memory:
    """Read how much memory there is now. `groups`, `listing`: where control groups are mounted and listed."""
    machine = psutil.virtual_memory()
    memory = Memory(machine.total, machine.available)
    for folder, names in _list_groups(groups, listing):
        with suppress(OSError, ValueError, KeyError):  # "max": no limit
            limit = int((folder / names.limit).read_text())
            usage = int((folder / names.usage).read_text())
            counters = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
            free = limit - usage + int(counters[names.reclaimable])  # the file cache goes first
            if limit < machine.total:
                memory = Memory(min(memory.total, limit), max(0, min(memory.available, free)))
    return memory


def _list_groups(groups: Path, listing: Path) -> Iterator[tuple[Path, _Names]]:
    """Yield the memory control groups of this process, from its own to the root, of either version."""
    lines: list[str] = []
    with suppress(OSError):
        lines = listing.read_text().splitlines()
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            root, names = groups, _V2
        elif "memory" in controllers.split(","):
            root, names = groups / "memory", _V1
        else:
            continue
        folder = root / path.lstrip("/")
        for parent in (folder, *folder.parents):
            yield parent, names
            if parent == root:
                break


def count_oom_kills() -> int | None:
    """Count the processes killed for want of memory since the boot; None: nobody counts."""
    with suppress(OSError, ValueError):
        for line in VM_COUNTERS.read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return None


def explain_sigkill(kills_before: int | None) -> str:
    """Return whether a process that SIGKILL has ended was killed for want of memory: in words, "" if not.

    `kills_before`: what `count_oom_kills` said when it began.
    """
    kills = count_oom_kills()
    if kills is None or kills_before is None:
        return "out of memory?"
    return "out of memory" if kills > kills_before else ""


def read_tree_bytes(pid: int) -> int:
    """Read how much memory a process and all that it has started hold, in bytes; 0 where they are gone."""
    total = 0
    for process in list_tree(pid):
        with suppress(psutil.Error):  # it may end meanwhile
            total += int(process.memory_info().rss)
    return total


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an exception, of any framework, says that there was not enough memory."""
    if {kind.__name__ for kind in type(error).__mro__} & OUT_OF_MEMORY_ERRORS:
        return True
    with suppress(Exception):  # its text is that of a class of the user's own
        return isinstance(error, RuntimeError) and any(text in str(error) for text in OUT_OF_MEMORY_TEXTS)
    return False
