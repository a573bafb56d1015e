"""A slot: a process on a node of the cluster that trains one trial after the other, as an actor of Ray.

It knows no storage and no MLflow: jobs come in as arguments, with the data and the states that they need, and
events go out. TensorFlow is imported in the methods, after this process knows which devices it may see.
"""

import errno
import os
import platform
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pipeline import __version__
from pipeline.errors import BadInput, CacheUnusable, FulcrumError, read_reason
from pipeline.files import expand_home, own_temporary_folder
from pipeline.hardware.device import read_share, share_gpu
from pipeline.measures import Point
from pipeline.settings.measuring import Device, DeviceKind

if TYPE_CHECKING:
    from pipeline.hardware.device import ClaimedDevice
    from pipeline.search.workers.job import Job, Progress, TrialOutcome
    from pipeline.search.workers.pool import End
    from pipeline.search.workers.process_state import Retiring

T = TypeVar("T")

DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}
SENDING_SHARE = 0.03
"""Of the time of a trial, what the sending of its states may take; its last state is always sent."""
TOGETHER_SECONDS = 0.2
"""Epochs that end within this time after a message are sent together: a driver may hear a thousand slots."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotReport:
    """What a slot says of itself; `device` is None where it cannot hold one, and `problem` says why.

    `versions`: of what must be equal everywhere; `niceness`: of its process, see nice(2).
    """

    node: str
    host: str
    device: "ClaimedDevice | None"
    versions: Mapping[str, str]
    niceness: int
    problem: str = ""


@dataclass(frozen=True, slots=True)
class StateFile:
    """A checkpoint on its way: the file's name, and its bytes."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Epochs:
    """Epochs that ended soon after each other, in one message."""

    progress: "tuple[Progress, ...]"


@dataclass(frozen=True, slots=True)
class Begun:
    """A slot has taken a job: what ends the slot from here on may be the job's doing."""


@dataclass(frozen=True, slots=True)
class NodeUnfit:
    """A node cannot do what any trial needs: its disk is full, or cannot be written; `reason` says what."""

    reason: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call came to; `is_changed`: it has changed the process of its slot."""

    value: Any
    is_changed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SentData:
    """Prepared data on their way: `key` of the entry, and what `describe_data_settings` says of them.

    `cache_dir`: the entry's on the machine that prepared them; `files`: reference to what `read_entry_files`
    returned, None where it is too large to be sent.
    """

    key: str
    settings_text: str
    cache_dir: str
    files: Any


def read_versions(of_loop: bool = False) -> dict[str, str]:
    """Return the versions that must be the same on all machines.

    `of_loop`: for training loops of the user's own, whose frameworks nobody knows.
    """
    python = ".".join(platform.python_version_tuple()[:2])
    ours = {"fulcrum": __version__, "python": python}
    if of_loop:
        return ours
    from pipeline.backend import keras, tf

    return {**ours, "tensorflow": tf.__version__, "keras": keras.__version__}


class Slot:
    """Trains where Ray has started it."""

    def __init__(self, device: Device, of_loop: bool = False, share: float = 1.0) -> None:
        """`device`: what to claim, of kind cpu or gpu; `of_loop`: for a training loop of the user's own.

        `share`: part of a GPU that this slot holds.
        """
        if share < 1:
            share_gpu(share)
        self._device, self._of_loop = device, of_loop
        if device.kind is DeviceKind.cpu:
            os.environ["CUDA_VISIBLE_DEVICES"] = ""  # Ray hides GPUs from those alone that ask for some
        self._folder = ExitStack()
        self._folder.enter_context(own_temporary_folder())
        self._frontier: Sequence[Point] = ()
        self._surroundings: Any = None

    def close(self) -> None:
        """Remove the temporary files of this process, which a kill leaves to the next one."""
        self._folder.close()

    def report(self) -> SlotReport:
        """Claim the device; return what this slot is."""
        import ray

        from pipeline.hardware.device import claim_device, claim_plain_device
        from pipeline.hardware.process_marks import kill_abandoned, mark_started
        from pipeline.search.workers.worker import Surroundings

        kill_abandoned()  # by slots of this node that were killed: it would run beside what this one trains
        mark_started()
        claimed, problem = None, ""
        try:
            claim = claim_plain_device if self._of_loop else claim_device
            device = self._device
            if device.kind is DeviceKind.gpu and read_share() < 1:
                device = replace(device, pin=False)  # others may have the same GPU: Ray has chosen it
            claimed = claim(device, pin=True)
            claimed.check()
        except BadInput as error:
            claimed, problem = None, str(error)
        self._surroundings = Surroundings.current()
        return SlotReport(
            node=ray.get_runtime_context().get_node_id(),
            host=socket.gethostname(),
            device=claimed,
            versions=read_versions(self._of_loop),
            niceness=os.nice(0),
            problem=problem,
        )

    def tell(self, frontier: Sequence[Point]) -> None:
        """Take note of the frontier, also while a job runs."""
        self._frontier = frontier

    def run(
        self, job: "Job", data: SentData | None, states: Sequence[StateFile]
    ) -> "Iterator[Begun | Progress | Epochs | StateFile | NodeUnfit | Retiring | End]":
        """Yield what `run_job` yields, short epochs together, and each state before what it belongs to.

        Before its end a `Retiring` where the job has changed this process.
        """
        yield Begun()
        from pipeline.search.workers.job import TrialOutcome
        from pipeline.search.workers.job_kinds import run_job
        from pipeline.search.workers.pool import catch_crash
        from pipeline.search.workers.process_state import watch_process

        self._surroundings.restore()
        self._frontier = ()
        try:
            if data is not None:  # a loop of the user's own reads its data by itself
                _take_data(data)
            outbox = Outbox(job.checkpoint, states)
        except (FulcrumError, OSError) as error:
            yield NodeUnfit(f"cannot take the data ({error})")
            return
        events = run_job(replace(job, checkpoint=outbox.path), lambda: self._frontier)
        for event in gather_epochs(watch_process(job, catch_crash(catch_unfit(events)))):
            yield from outbox.list_new(is_last=isinstance(event, TrialOutcome))
            yield event

    def call(
        self,
        function: Callable[..., Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        data: SentData | None,
        states: Sequence[StateFile],
    ) -> Answer:
        """Return what `function` returns; where it raises a `FulcrumError`, return that.

        A `NodeUnfit` where this node cannot call it.
        """
        from pipeline.hardware.process_marks import kill_started
        from pipeline.search.workers.process_state import ProcessState

        self._surroundings.restore()
        state = ProcessState()
        try:
            if data is not None:
                _take_data(data)
            here = [_put_states_here(arg, states) for arg in args]
        except (FulcrumError, OSError) as error:
            return Answer(NodeUnfit(f"cannot take the data ({error})"))
        value: Any
        try:
            value = function(*here, **kwargs)
        except FulcrumError as error:
            value = error
        return Answer(value, bool(state.find_changes()) | kill_started())


def catch_unfit(
    events: "Iterator[Progress | TrialOutcome]",
) -> "Iterator[Progress | TrialOutcome | NodeUnfit]":
    """Yield the events; an error that tells of the node's disk becomes the last of them."""
    try:
        yield from events
    except CacheUnusable as error:
        yield NodeUnfit(f"cannot write ({error})")
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
        yield NodeUnfit(f"cannot write ({read_reason(error)}); make room on its disk")


def gather_epochs(
    events: "Iterator[T]", clock: Callable[[], float] = time.monotonic
) -> "Iterator[T | Progress | Epochs]":
    """Yield the events in their order; epochs that follow a message of epochs within a moment together."""
    from pipeline.search.workers.job import Progress

    waiting, send_at = list[Progress](), clock()
    for event in events:
        if isinstance(event, Progress):
            waiting.append(event)
            if clock() < send_at:
                continue
        if waiting:
            yield waiting[0] if len(waiting) == 1 else Epochs(tuple(waiting))
            waiting, send_at = [], clock() + TOGETHER_SECONDS
        if not isinstance(event, Progress):
            yield event


def _put_states_here(argument: Any, states: Sequence[StateFile]) -> Any:
    """Return an argument whose checkpoint lies on this machine."""
    if getattr(argument, "checkpoint", None) is None:
        return argument
    return replace(argument, checkpoint=Outbox(argument.checkpoint, states).path)


class Outbox:
    """The folder for the states of one job, which sends what is new in it."""

    def __init__(self, checkpoint: Path | None, states: Sequence[StateFile]) -> None:
        """`checkpoint`: where it lies on the driver's machine; `states`: what lies there."""
        import tempfile

        self._folder = Path(tempfile.mkdtemp(prefix="states-"))
        self.path = self._folder / checkpoint.name if checkpoint else None
        for state in states:
            (self._folder / state.name).write_bytes(state.content)
        self._sent = self._list_times()
        self._next_at = 0.0

    def _list_times(self) -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in self._folder.glob("*.npz")}

    def list_new(self, is_last: bool) -> Iterator[StateFile]:
        """Yield the states that were written since; all of them if `is_last`, else no more than is paced."""
        if not is_last and time.monotonic() < self._next_at:
            return
        for path, written_at in self._list_times().items():
            if self._sent.get(path) != written_at:
                started = time.monotonic()
                yield StateFile(path.name, path.read_bytes())
                self._sent[path], now = written_at, time.monotonic()
                self._next_at = now + (now - started) / SENDING_SHARE
        if is_last:
            self.remove()

    def remove(self) -> None:
        """Remove the folder."""
        import shutil

        shutil.rmtree(self._folder, ignore_errors=True)


def _take_data(data: SentData) -> None:
    """Let trials of this process use the data: as they lie on this node, or as they were sent.

    Raises:
        FulcrumError: they are too large to be sent, or cannot be written here.
    """
    from pipeline.data.cache_entry import copy_entry, load_entry
    from pipeline.trial.network import give_prepared

    cache_dir = expand_home(os.environ.get("FULCRUM_CACHE") or data.cache_dir).absolute()
    entry = load_entry(cache_dir, data.key)
    if entry is None:
        if data.files is None:
            raise FulcrumError(
                f"the prepared data are not on {socket.gethostname()} ({cache_dir}) and larger than "
                "data.in_memory_limit; let cache_dir be a folder that all nodes share"
            )
        import ray

        entry = copy_entry(cache_dir, data.key, ray.get(data.files[0]))
    give_prepared(data.settings_text, entry)
