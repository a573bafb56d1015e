"""The quota of CPU time that a control group leaves a process: of a container, a batch job, a slice.

A quota of 1.5 cores on a machine of eight stops all threads of the group once they have used 0.15 s in 0.1 s
of the clock. Control groups version 2 have one folder of all kinds of limits, version 1 a folder `cpu`.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROC, GROUPS = Path("/proc"), Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class CpuQuota:
    """`cores`: seconds of processor time in a second; `file`: says how long the group was stopped."""

    cores: float
    file: Path


def find_quota(proc: Path = PROC, groups: Path = GROUPS) -> CpuQuota | None:
    """Return the tightest quota of this process' control group and of those around it; None without one."""
    quotas = [quota for folder in _list_groups(proc, groups) if (quota := _read_quota(folder))]
    return min(quotas, key=lambda quota: quota.cores, default=None)


def _list_groups(proc: Path, groups: Path) -> Iterator[Path]:
    """Yield the control groups of this process that limit CPU time, from its own to the root.

    In a container the listing may have names of the machine's, of which the root alone is here.
    """
    rows: list[str] = []
    with suppress(OSError):
        rows = (proc / "self/cgroup").read_text().splitlines()
    for row in rows:
        _, kinds, group = [*row.split(":", 2), "", ""][:3]
        if kinds and "cpu" not in kinds.split(","):
            continue
        root = groups / "cpu" if kinds else groups
        folder = root / group.lstrip("/")
        for parent in (folder, *folder.parents):
            yield parent
            if parent == root:
                break


def _read_quota(folder: Path) -> CpuQuota | None:
    stat = folder / "cpu.stat"
    with suppress(OSError, ValueError):  # "max": no limit
        limit, period = (folder / "cpu.max").read_text().split()
        return CpuQuota(int(limit) / int(period), stat)
    with suppress(OSError, ValueError):
        microseconds = int((folder / "cpu.cfs_quota_us").read_text())
        if microseconds > 0:  # -1: no limit
            period = (folder / "cpu.cfs_period_us").read_text()
            return CpuQuota(microseconds / int(period), stat)
    return None


def read_throttled_seconds(file: Path | None) -> float:
    """Return the seconds so far that a quota kept threads of the group off their cores; 0 without one."""
    with suppress(OSError, ValueError):
        rows = dict(row.split() for row in file.read_text().splitlines()) if file else {}
        return int(rows.get("throttled_usec", 0)) * 1e-6 + int(rows.get("throttled_time", 0)) * 1e-9
    return 0.0
