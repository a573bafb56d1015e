"""CPU cores for one trial: its process runs on the least busy ones that no other trial of this user has.

A core is claimed by a lock on a file in a folder of the user's; the kernel releases the lock when the process
ends, however it ends. Where the system cannot bind a process to cores (macOS, Windows), nothing is claimed.
"""

import math
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pipeline import signals
from pipeline.errors import BadDevice
from pipeline.files import get_shared_folder
from pipeline.hardware.cpu_quota import find_quota

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

OBSERVE_SECONDS = 0.05
"""How long the cores are watched to see which are busy."""

TOPOLOGY = Path("/sys/devices/system/cpu")


@dataclass(frozen=True, slots=True)
class CoreClaim:
    """Cores of process `pid`; `locks`: open files; `allowed`: the cores that it might use before."""

    pid: int
    cores: tuple[int, ...]
    locks: tuple[int, ...]
    allowed: frozenset[int]


_claim: CoreClaim | None = None


def get_claimed_cores() -> tuple[int, ...]:
    """Return the numbers of the cores that this process has claimed; () if none."""
    return _claim.cores if _claim and _claim.pid == os.getpid() else ()


def count_usable_cores() -> int:
    """Count the cores that this process may use: of the machine, of a batch job, by the quota of a container.

    Those that it has claimed and those that it has not. SLURM binds a task to what it asked for only where it
    is set up to; what it was given counts anyway.
    """
    if _claim:
        cores = len(_claim.allowed)
    else:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    share = os.environ.get("SLURM_CPUS_PER_TASK", "")
    if share.isdecimal() and int(share) > 0:
        cores = min(cores, int(share))
    quota = find_quota()
    return cores if quota is None else max(1, min(cores, math.ceil(quota.cores)))


def check_threads(threads: int) -> None:
    """Check that a trial can compute on as many cores as it pays for.

    Raises:
        BadDevice: this process may use fewer.
    """
    cores = count_usable_cores()
    if threads > cores:
        raise BadDevice(
            f"device.threads must be at most {cores}, the cores that this process may use, got {threads}; "
            f"ask for more (sbatch --cpus-per-task, a container's CPU limit), or use device.threads={cores}"
        )


def claim_cores(count: int, folder: Path | None = None) -> tuple[int, ...]:
    """Bind this process, all its threads and its future ones, to `count` cores that no other trial gets.

    Return their numbers; () where the system cannot bind, or fewer than `count` are free: then nothing
    changes. Cores that this process has already stay. `folder`: of the lock files.
    """
    global _claim
    if not hasattr(os, "sched_setaffinity") or fcntl is None:
        return ()
    if len(get_claimed_cores()) == count:
        return get_claimed_cores()
    # A forked child starts from what its parent might use, not from the parent's own cores.
    allowed = _claim.allowed if _claim else frozenset(os.sched_getaffinity(0))
    release_cores()
    cores = _sort_by_load(allowed)
    # Held back, or Ctrl-C could leave a program locks that it knows nothing of.
    with suppress(OSError), signals.hold_back():
        locks = _lock_cores(cores, count, folder or make_user_folder())
        if locks:
            _bind_threads(locks)
            _claim = CoreClaim(os.getpid(), tuple(sorted(locks)), tuple(locks.values()), allowed)
    return get_claimed_cores()


def release_cores() -> None:
    """Release the claimed cores; this process may use all of them again."""
    global _claim
    with signals.hold_back():
        if _claim and _claim.pid == os.getpid():
            _bind_threads(_claim.allowed)
            for lock in _claim.locks:
                os.close(lock)
        _claim = None


def make_user_folder() -> Path:
    """Make and return a folder that only this user can write.

    Raises:
        OSError: somebody else owns the one in the folder for temporary files.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    root = Path(runtime) if runtime and os.access(runtime, os.W_OK) else get_shared_folder()
    folder = root / f"fulcrum-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise PermissionError(folder)
    return folder


def _lock_cores(cores: list[int], count: int, folder: Path) -> dict[int, int]:
    """Lock the first `count` cores that are free; return open lock files by core, {} if there are too few."""
    locks: dict[int, int] = {}
    for core in cores:
        if len(locks) < count and (lock := try_lock(folder / f"core-{core}.lock")) is not None:
            locks[core] = lock
    if len(locks) == count:
        return locks
    for lock in locks.values():
        os.close(lock)
    return {}


def try_lock(path: Path) -> int | None:
    """Return an open file that holds the lock, None if another process has it; programs do not inherit it."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        return None
    return file


def _bind_threads(cores: "dict[int, int] | frozenset[int]") -> None:
    for thread in os.listdir("/proc/self/task"):
        with suppress(OSError):  # a thread may end meanwhile
            os.sched_setaffinity(int(thread), cores)


def _sort_by_load(allowed: frozenset[int]) -> list[int]:
    """Sort cores by what their physical core does in a short time, the least busy first."""
    if len(allowed) == 1:
        return list(allowed)
    before = read_core_ticks(Path("/proc/stat"))
    time.sleep(OBSERVE_SECONDS)
    after = read_core_ticks(Path("/proc/stat"))
    busy = {core: after[core].busy - before[core].busy for core in after.keys() & before.keys()}
    load = {core: sum(busy.get(sibling, 0) for sibling in read_sibling_cores(core)) for core in allowed}
    return sorted(allowed, key=lambda core: (load[core], core))


class CoreTicks(NamedTuple):
    """Clock ticks of a core at work, and without work or waiting for input; `stolen`: by the hypervisor."""

    busy: int
    idle: int
    stolen: int


def read_core_ticks(stat: Path) -> dict[int, CoreTicks]:
    """Read the ticks of each core since the machine started; {} where nobody counts them."""
    with suppress(OSError, ValueError, IndexError):
        rows = [line.split() for line in stat.read_text().splitlines() if line.startswith("cpu")]
        return {int(row[0][3:]): _count_ticks([int(field) for field in row[1:9]]) for row in rows[1:]}
    return {}


def _count_ticks(fields: list[int]) -> CoreTicks:
    user, nice, system, idle, waiting, interrupts, soft_interrupts, stolen = fields
    return CoreTicks(user + nice + system + interrupts + soft_interrupts + stolen, idle + waiting, stolen)


def read_sibling_cores(core: int) -> list[int]:
    """Read the numbers of the logical cores that share a physical core with `core`, which is one of them."""
    listed: list[int] = []
    with suppress(OSError, ValueError):
        text = (TOPOLOGY / f"cpu{core}/topology/thread_siblings_list").read_text()
        for span in text.strip().split(","):
            first, _, last = span.partition("-")
            listed += range(int(first), int(last or first) + 1)
    return listed or [core]
