"""Who owns a trial, a run, a worker or a file, and whether it lives."""

import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from secrets import token_hex
from typing import Any

import psutil

START_TOLERANCE_SECONDS = 3.0
"""A clock that is set moves the time at which a process is said to have started."""

HEARTBEAT_SECONDS, LEASE_SECONDS = 20.0, 90.0
"""A process renews the lease of what it holds so often; a lease that nobody renews is over after so long."""

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
PID_NAMESPACE = Path("/proc/self/ns/pid")
_holders = set[str]()
"""Parts of this process that hold something: a notebook may start one search after another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessOwner:
    """A process that holds a trial, a run or a file, described well enough to look for it later.

    A process id means something only within one boot of one machine and within one PID namespace (a container
    has its own). What a system cannot tell, and what records of version 0.1.0 do not have, is None.
    """

    host: str
    pid: int
    started: float | None = None
    """When the process started, in seconds since 1970."""
    boot_id: str | None = None
    """The kernel's name of this boot of the machine, 32 hexadecimal digits."""
    pid_namespace: int | None = None
    """The inode of the PID namespace; all processes of one container have the same."""
    started_after_boot: float | None = None
    """When the process started, in seconds since the boot: no clock that is set moves it."""
    holder: str | None = None
    """The part of the process that holds it, see `begin_holding`; None: the process as a whole."""

    @classmethod
    def current(cls) -> "ProcessOwner":
        """Return the description of this process."""
        return cls._of(psutil.Process())

    @classmethod
    def of(cls, pid: int) -> "ProcessOwner | None":
        """Return the description of the process that has this id here and now; None where none has it."""
        try:
            return cls._of(psutil.Process(pid))
        except (psutil.Error, ValueError, OverflowError):
            return None

    @classmethod
    def _of(cls, process: psutil.Process) -> "ProcessOwner":
        started, boot_id = process.create_time(), read_boot_id()
        return cls(
            host=socket.gethostname(),
            pid=process.pid,
            started=started,
            boot_id=boot_id,
            pid_namespace=read_pid_namespace(),
            # psutil adds the time of the boot, as the clock now tells it, to what the kernel counts.
            started_after_boot=started - psutil.boot_time() if boot_id else None,
        )

    # ---- on disk ----------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Return what is known as plain values; times are rounded."""
        fields = {key: value for key, value in asdict(self).items() if value is not None}
        if self.started is not None:
            fields["started"] = round(self.started)
        if self.started_after_boot is not None:
            fields["started_after_boot"] = round(self.started_after_boot, 2)
        return fields

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "ProcessOwner | None":
        """Read what `to_dict` wrote, values as numbers or as text; None for what describes no process."""
        try:
            return cls(
                host=str(fields["host"]),
                pid=int(fields["pid"]),
                started=_read_number(fields.get("started")),
                boot_id=fields.get("boot_id"),
                pid_namespace=None
                if (inode := _read_number(fields.get("pid_namespace"))) is None
                else int(inode),
                started_after_boot=_read_number(fields.get("started_after_boot")),
                holder=fields.get("holder"),
            )
        except (KeyError, TypeError, ValueError):
            return None

    def to_file_name(self) -> str:
        """Return `HOST-PID-STARTED.BOOT.NAMESPACE.AFTER`, for the name of a file that this process writes."""
        after = None if self.started_after_boot is None else round(100 * self.started_after_boot)
        rest = (round(self.started or 0), self.boot_id, self.pid_namespace, after)
        words = ".".join("" if word is None else str(word) for word in rest)
        return f"{self.host}-{self.pid}-{words}"

    @classmethod
    def from_file_name(cls, name: str) -> "ProcessOwner | None":
        """Read a name that begins with `to_file_name`, or with `HOST-PID-` alone; None for any other."""
        host, _, rest = name.rpartition("-")
        host, _, pid = host.rpartition("-")  # a host may have hyphens in its name
        words = rest.split(".")
        fields: dict[str, Any] = {"host": host, "pid": pid}
        if len(words) >= 4:
            started, boot_id, namespace, after = words[:4]
            hundredths = {"started_after_boot": int(after) / 100} if after.isdigit() else {}
            fields |= {"started": started or None, "boot_id": boot_id or None, **hundredths}
            fields["pid_namespace"] = namespace or None
        return cls.from_dict(fields) if host and pid.isdigit() else None

    # ---- alive or gone ----------------------------------------------------------------------------------

    def is_alive(self) -> bool:
        """Return whether the process runs and can be seen from here."""
        return self.is_visible() and self._is_running()

    def is_gone(self) -> bool:
        """Return whether the process has certainly ended.

        False for what cannot be seen from here: another machine, another container, an earlier boot. Of those
        the lease tells: see `is_free`.
        """
        return self.is_visible() and not self._is_running()

    def is_current(self) -> bool:
        """Return whether this very process is meant."""
        return self.pid == os.getpid() and self.is_alive()

    def is_visible(self) -> bool:
        """Return whether its process id means something here.

        The name of a host may change while it runs, and containers and machines may share one: another boot
        is an earlier one of this machine or that of a twin, and nothing here can tell which. So boot and
        namespace decide where they are known, and the name decides where they are not.
        """
        is_here = self._is_within(read_pid_namespace(), read_boot_id(), socket.gethostname())
        return is_here and not _is_hidden(self.pid)

    def is_same(self, process: "ProcessOwner") -> bool:
        """Return whether both describe one process, by what both of them say."""
        is_within = self._is_within(process.pid_namespace, process.boot_id, process.host)
        return self.pid == process.pid and is_within and self._began_with(process)

    def _is_within(self, namespace: int | None, boot_id: str | None, host: str) -> bool:
        pairs = ((self.pid_namespace, namespace), (self.boot_id, boot_id))
        matches = [theirs == ours for theirs, ours in pairs if theirs is not None and ours is not None]
        return all(matches) and (len(matches) == len(pairs) or self.host == host)

    def _began_with(self, process: "ProcessOwner") -> bool:
        """Return whether both say the same of when they started, as far as both say it."""
        if self.started_after_boot is not None and process.started_after_boot is not None:
            return abs(self.started_after_boot - process.started_after_boot) <= START_TOLERANCE_SECONDS
        if self.started is not None and process.started is not None:
            return abs(self.started - process.started) <= START_TOLERANCE_SECONDS
        return True

    def _is_running(self) -> bool:
        try:
            process = psutil.Process(self.pid)
            if process.status() == psutil.STATUS_ZOMBIE:  # ended; its parent has not asked how
                return False
            current = self._of(process)
        except psutil.AccessDenied:
            return True
        except (psutil.Error, ValueError, OverflowError):
            return False
        if self.pid == os.getpid() and self.holder is not None and self.holder not in _holders:
            return False
        return self._began_with(current)


def _is_hidden(pid: int) -> bool:
    """Return whether another user has a process of this id which the system shows to nobody else.

    As where /proc is mounted with hidepid, on shared machines; psutil says that there is none.
    """
    if pid <= 0:  # a group of processes, or all
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        return not os.path.exists(f"{psutil.PROCFS_PATH}/{pid}") and psutil.LINUX
    except (OSError, OverflowError):
        return False
    return False


def begin_holding() -> ProcessOwner:
    """Return this process as an owner whose hold ends with `end_holding`, or with the process.

    What it could not give back, as a disk was full or a server away, is free afterwards: also for this very
    process, which goes on where it is that of a notebook.
    """
    owner = replace(ProcessOwner.current(), holder=token_hex(4))
    _holders.add(str(owner.holder))
    return owner


def end_holding(owner: ProcessOwner) -> None:
    """End the hold of a part of this process."""
    _holders.discard(str(owner.holder))


def is_free(owner: ProcessOwner | None, is_lease_over: bool) -> bool:
    """Return whether what a process held may be taken by another one: the one rule of ownership.

    A process that can be seen from here decides by itself: alive, it keeps what it holds, however long its
    heartbeat was silent (a machine that slept); gone, it has left it. Where it cannot be seen, or none is
    written down (None), only the lease tells.
    """
    if owner is None or not owner.is_visible():
        return is_lease_over
    return owner.is_gone()


@cache
def read_boot_id() -> str | None:
    """Return the kernel's name of this boot; None where the system has none."""
    try:
        return BOOT_ID.read_text().strip().replace("-", "") or None
    except OSError:
        return None


def read_pid_namespace() -> int | None:
    """Return the inode of this process' PID namespace; None where the system has none."""
    try:
        return PID_NAMESPACE.stat().st_ino
    except OSError:
        return None


def _read_number(value: Any) -> float | None:
    return None if value is None else float(value)
