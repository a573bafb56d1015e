"""The room for trials: memory, disks and cores, of this machine or of the container around."""

import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Literal

from pipeline.errors import BadInput, read_reason
from pipeline.files import TEMPORARY_PREFIX, expand_home, find_network_system
from pipeline.formatting import format_count
from pipeline.hardware.contention import CLEAR_SHARE
from pipeline.settings import addresses
from pipeline.settings.settings import Settings

State = Literal["ok", "note", "fails"]
"""Of a part of the machine: it works, could be more, or does not work."""

Outcome = tuple[State, str, str]
"""State, what was found, and what helps."""

GIB = 1024**3
LEAST_MEMORY = 1 * GIB
LEAST_ROOM = 2 * GIB
PROBE_BYTES = 1024**2
SPIN_SECONDS = 0.5
ROOM_REMEDY = "make room, or set MLFLOW_TRACKING_URI, FULCRUM_CACHE or TMPDIR to other folders"
NETWORK_REMEDY = "one machine at a time may write SQLite there; for several see docs/cluster/postgresql.md"


def look_at_memory() -> Outcome:
    """Say how much memory trials may use."""
    from pipeline.hardware.memory import read_memory

    memory = read_memory()
    text = f"{memory.available / GIB:.1f} of {memory.total / GIB:.1f} GiB available"
    if memory.available < LEAST_MEMORY:
        return "fails", text, f"a worker needs some {LEAST_MEMORY // GIB} GiB; end other programs"
    return "ok", text, ""


def look_at_disk(settings: Settings) -> Outcome:
    """Say how much room there is where runs, studies, prepared data and temporary files go; write there."""
    record = _find_record_folder()
    folders = {"the record": record, "temporary files": _find_temporary_folder()}
    rooms, faults = dict[int, tuple[Path, int]](), list[str]()
    try:
        folders["cache_dir"] = expand_home(settings.cache_dir)
    except BadInput as error:
        faults.append(f"cache_dir: {error}")
    for what, folder in folders.items():
        if folder is None:  # a server keeps it
            continue
        directory = next((parent for parent in (folder, *folder.parents) if parent.exists()), folder)
        try:
            with tempfile.TemporaryFile(dir=directory) as file:
                file.write(bytes(PROBE_BYTES))
                file.flush()
            rooms.setdefault(directory.stat().st_dev, (directory, shutil.disk_usage(directory).free))
        except OSError as error:
            faults.append(f"{what} cannot be written in {directory} ({read_reason(error)})")
    text = ", ".join(f"{free / GIB:.1f} GiB free in {directory}" for directory, free in rooms.values())
    if faults:
        text = ", ".join([*faults, text] if text else faults)
        return "fails", text, ROOM_REMEDY
    if min(free for _, free in rooms.values()) < LEAST_ROOM:
        return "note", text, f"models and data take more than {LEAST_ROOM // GIB} GiB soon; make room"
    if record and (kind := find_network_system(record)):
        return "note", f"{text}; the record is on {kind}", NETWORK_REMEDY
    return "ok", text, ""


def _find_record_folder() -> Path | None:
    path = addresses.read_sqlite_path(addresses.read_uri())
    return path.parent if path else None


def name_temporary_folder() -> None:
    """Name a folder for temporary files where none can be written: no library can be imported without."""
    try:
        tempfile.gettempdir()
    except OSError:
        tempfile.tempdir = os.environ.get("TMPDIR") or "/tmp"


def _find_temporary_folder() -> Path:
    """Return the folder for temporary files, without that of this process in it."""
    folder = Path(tempfile.gettempdir())
    return folder.parent if folder.name.startswith(TEMPORARY_PREFIX) else folder


def look_at_cores() -> Outcome:
    """Say whether a trial can have a core of its own, and what others take of it; take one for a moment."""
    from pipeline.hardware import cpu_cores
    from pipeline.hardware.cpu_quota import find_quota

    quota, count = find_quota(), cpu_cores.count_usable_cores()
    text = format_count(count, "core")
    text += f" by a quota of {quota.cores:g}" if quota else ""
    had = cpu_cores.get_claimed_cores()
    cores = cpu_cores.claim_cores(1)
    try:
        share = _measure_share()
    finally:
        if not had:
            cpu_cores.release_cores()
    if not cores:
        return "note", f"{text}, none for a trial alone: {_explain_no_core()}", "trials share cores till then"
    text += f", a trial gets its own (core {cores[0]} was free)"
    if share is None:
        return "note", f"{text}, nobody counts what others take of it", "device-seconds are wall seconds"
    text += f", others left {share:.0%} of it in {SPIN_SECONDS:g} s"
    if share < CLEAR_SHARE:
        return "note", text, "trials will be tagged contended; what others take is no cost"
    return "ok", text, ""


def _explain_no_core() -> str:
    from pipeline.hardware.cpu_cores import make_user_folder

    if not hasattr(os, "sched_setaffinity"):
        return "this system binds no process to a core"
    try:
        make_user_folder()
    except OSError as error:
        return f"no lock can be written ({read_reason(error)}), set TMPDIR to a folder that can be"
    return "others hold them all, end them"


def _measure_share() -> float | None:
    """Measure what other processes leave of a core that this one wants, 0..1; None where nobody counts."""
    from pipeline.hardware.contention import ContentionMonitor
    from pipeline.hardware.counters import KernelCounters
    from pipeline.hardware.energy import SilentGauge

    counters, monitor = KernelCounters(SilentGauge(), 1), ContentionMonitor(1)
    before, until = counters.read(), time.perf_counter() + SPIN_SECONDS
    while time.perf_counter() < until:
        pass
    monitor.add_epoch(counters.read().since(before))
    return monitor.verdict.share
