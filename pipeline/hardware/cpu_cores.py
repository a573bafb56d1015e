"""Cores of one's own: a process keeps to the least busy ones that no other trial of this user holds.

A core is held by a lock on a file in a folder of the user's; the kernel lets go of it when the process ends,
however it ends. Where the system cannot bind a process to cores (macOS, Windows), nothing is held.
"""

import os
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LOOK_SECONDS = 0.05
"""How long the cores are watched to see which are busy."""

TOPOLOGY = Path("/sys/devices/system/cpu")


@dataclass(frozen=True, slots=True)
class Claim:
    """Cores of process `pid`; `locks` are open files, `allowed` the cores it might use before."""

    pid: int
    cores: tuple[int, ...]
    locks: tuple[int, ...]
    allowed: frozenset[int]


_claim: Claim | None = None


def held() -> tuple[int, ...]:
    """The cores that this process holds; () if none."""
    return _claim.cores if _claim and _claim.pid == os.getpid() else ()


def pin(count: int, folder: Path | None = None) -> tuple[int, ...]:
    """Bind this process, all its threads and its future ones, to `count` cores of its own.

    `folder`: of the lock files. Cores already held are kept. Gives () and changes nothing where cores cannot
    be bound or fewer than `count` are free.
    """
    global _claim
    if not hasattr(os, "sched_setaffinity") or fcntl is None:
        return ()
    if len(held()) == count:
        return held()
    # A forked child starts from what its parent might use, not from the parent's own cores.
    allowed = _claim.allowed if _claim else frozenset(os.sched_getaffinity(0))
    release()
    with suppress(OSError):
        taken = _take(_by_preference(allowed), count, folder or run_folder())
        if taken:
            _bind(taken)
            _claim = Claim(os.getpid(), tuple(sorted(taken)), tuple(taken.values()), allowed)
    return held()


def release() -> None:
    """Give the cores back and use all again."""
    global _claim
    if _claim and _claim.pid == os.getpid():
        _bind(_claim.allowed)
        for lock in _claim.locks:
            os.close(lock)
    _claim = None


def run_folder() -> Path:
    """A folder that only this user can write.

    Raises:
        OSError: somebody else owns the one in the folder for temporary files.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    root = Path(runtime) if runtime and os.access(runtime, os.W_OK) else Path(tempfile.gettempdir())
    folder = root / f"fulcrum-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise PermissionError(folder)
    return folder


def _take(cores: list[int], count: int, folder: Path) -> dict[int, int]:
    """Locks by core for the first `count` that can be had, or nothing."""
    taken: dict[int, int] = {}
    for core in cores:
        if len(taken) < count and (lock := _locked(folder / f"core-{core}.lock")) is not None:
            taken[core] = lock
    if len(taken) == count:
        return taken
    for lock in taken.values():
        os.close(lock)
    return {}


def _locked(path: Path) -> int | None:
    """An open file that holds the lock; not handed on to programs that this process starts."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        return None
    return file


def _bind(cores: "dict[int, int] | frozenset[int]") -> None:
    for thread in os.listdir("/proc/self/task"):
        with suppress(OSError):  # a thread may end meanwhile
            os.sched_setaffinity(int(thread), cores)


def _by_preference(allowed: frozenset[int]) -> list[int]:
    """Cores, those first whose physical core did least in a short look."""
    if len(allowed) == 1:
        return list(allowed)
    before = busy_ticks(Path("/proc/stat"))
    time.sleep(LOOK_SECONDS)
    after = busy_ticks(Path("/proc/stat"))
    busy = {core: after.get(core, 0) - before.get(core, 0) for core in after}
    return sorted(allowed, key=lambda core: (sum(busy.get(each, 0) for each in siblings(core)), core))


def busy_ticks(stat: Path) -> dict[int, int]:
    """Clock ticks by core that were neither idle nor waiting for input; {} where nobody counts."""
    with suppress(OSError, ValueError, IndexError):
        rows = [line.split() for line in stat.read_text().splitlines() if line.startswith("cpu")]
        return {int(row[0][3:]): sum(map(int, row[1:4])) + sum(map(int, row[6:9])) for row in rows[1:]}
    return {}


def siblings(core: int) -> list[int]:
    """The logical cores of the same physical one, itself among them."""
    listed: list[int] = []
    with suppress(OSError, ValueError):
        text = (TOPOLOGY / f"cpu{core}/topology/thread_siblings_list").read_text()
        for part in text.strip().split(","):
            first, _, last = part.partition("-")
            listed += range(int(first), int(last or first) + 1)
    return listed or [core]
