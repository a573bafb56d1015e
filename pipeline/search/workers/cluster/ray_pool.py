"""A pool of slots on a Ray cluster; search, stores and checkpoints stay in this process.

Ray repeats nothing: it would give the epochs of a second try as those of the first. Whatever ends a slot
gives its trial back, once.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, is_dataclass, replace
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from pipeline.data.cache_entry import read_entry_files
from pipeline.data.preprocess import describe_data_settings
from pipeline.errors import FulcrumError
from pipeline.files import write_content
from pipeline.hardware.device import ClaimedDevice, claim_device, claim_plain_device
from pipeline.measures import Epoch, Point
from pipeline.search.workers.cluster.connection import connect
from pipeline.search.workers.cluster.slot import Answer, Begun, Epochs, NodeUnfit, SentData, StateFile
from pipeline.search.workers.cluster.slots import NEWS, RunningSlot, Slots
from pipeline.search.workers.job import Job, Progress, TrialOutcome
from pipeline.search.workers.pool import Crash, Event, Stoppage, WorkerLost, explain_late, make_cut_outcome
from pipeline.search.workers.process_state import Retiring
from pipeline.settings.measuring import DeviceKind
from pipeline.settings.settings import Settings
from pipeline.settings.training import UserLoop
from pipeline.trial.network import load_prepared

P = ParamSpec("P")
T = TypeVar("T")

WAIT_SECONDS = 1.0
"""The longest wait for an event."""

SHUT_DOWN = "its node was shut down"
NODE_GONE = "its node is gone"
DIED = "the process of its slot died"


@dataclass(slots=True, kw_only=True)
class _Task:
    """What a slot is at: a job, or a call (None); `paid_seconds`: device-seconds, as last heard.

    `has_begun`: the slot has taken it; one that was lost before has not been ended by it. `is_last`: it has
    changed the slot's process, which gets no other.
    """

    job: Job | None
    answer: Any
    has_begun: bool = False
    is_last: bool = False
    started: float = field(default_factory=time.monotonic)
    paid_seconds: float = 0.0
    epochs: list[Epoch] = field(default_factory=list)
    sent_frontier: Sequence[Point] = ()


def open_ray_pool(settings: Settings) -> "tuple[RayPool, ClaimedDevice]":
    """Connect to the cluster and wait for its first slots; return their pool, and the device that each holds.

    Raises:
        BadInput: see `connect`.
        FulcrumError: no slot can be started, see `Slots.refresh`.
    """
    own, of_loop = (
        replace(settings.device, kind=DeviceKind.cpu, count=1),
        isinstance(settings.trial, UserLoop),
    )
    (claim_plain_device if of_loop else claim_device)(own)  # this process trains nothing
    if of_loop and settings.device.kind is DeviceKind.auto:  # as on one machine: a GPU has to be asked for
        settings = replace(settings, device=own)
    ray = connect(settings)
    slots = None
    try:
        slots = Slots(
            ray=ray,
            device=settings.device,
            limit=settings.cluster.slots,
            of_loop=of_loop,
            share=settings.cluster.share,
        )
        device = slots.wait_for_first()
        return RayPool(slots, settings.search.trial_limit), device
    except BaseException:
        if slots:
            slots.close()
        ray.shutdown()
        raise


class RayPool:
    """The workers of a sweep on a cluster."""

    def __init__(self, slots: Slots, timeout: float | None = None) -> None:
        """`timeout`: seconds that a job or a call may take."""
        self._ray, self._slots, self._timeout = slots.ray, slots, timeout
        self._frontier: Sequence[Point] = ()
        self._data: dict[str, SentData] = {}

    def count_free(self) -> int:
        self._slots.refresh()
        if not self._slots.ready:
            self._slots.wait_for_first()
        self._slots.tell_count()
        return sum(slot.task is None for slot in self._slots.ready)

    def start(self, job: Job) -> None:
        slot = self._get_idle_slot()
        sent = self._fit(job)
        run = slot.actor.run.options(num_returns="streaming")
        answer = run.remote(sent, self._send_data(sent.settings), _read_states(job.checkpoint))
        slot.task = _Task(job=job, answer=answer)
        self._send_frontier(slot)

    def _get_idle_slot(self) -> RunningSlot:
        while (slot := next((slot for slot in self._slots.ready if slot.task is None), None)) is None:
            if self.count_free() == 0:
                time.sleep(WAIT_SECONDS / 10)
        return slot

    def _fit(self, value: T) -> T:
        """Return a job, settings or what has settings, with the device that the slots have."""
        if isinstance(value, Settings):
            return replace(value, device=self._slots.device)
        settings = getattr(value, "settings", None)
        if isinstance(settings, Settings) and is_dataclass(value):
            return replace(value, settings=self._fit(settings))  # type: ignore[type-var]
        return value

    def _send_data(self, settings: Settings) -> SentData | None:
        """Put the prepared data into the object store, once; a node fetches them once.

        None for a loop of the user's own, which reads its data by itself.
        """
        if isinstance(settings.trial, UserLoop):
            return None
        text = describe_data_settings(settings)
        if text not in self._data:
            entry = load_prepared(settings)
            files = read_entry_files(entry)
            fits = sum(content.nbytes for content in files.values()) <= settings.data.in_memory_limit
            self._data[text] = SentData(
                key=entry.key,
                settings_text=text,
                cache_dir=settings.cache_dir,
                files=[self._ray.put(files)] if fits else None,
            )
        return self._data[text]

    # ---- what comes back --------------------------------------------------------------------------------

    def has_events(self) -> bool:
        answers = [slot.task.answer for slot in self._slots.ready if slot.task and slot.task.job]
        return bool(answers and self._ray.wait(answers, num_returns=1, timeout=0)[0])

    def events(self, frontier: Sequence[Point]) -> Iterator[Event]:
        self._slots.refresh()
        busy = {slot.task.answer: slot for slot in self._slots.ready if slot.task and slot.task.job}
        if not busy:
            return
        self._frontier = frontier
        answers = list(busy)
        come, _ = self._ray.wait(answers, num_returns=1, timeout=WAIT_SECONDS)
        if come and len(answers) > 1:
            come, _ = self._ray.wait(answers, num_returns=len(answers), timeout=0)
        for answer in come:
            yield from self._receive(busy.pop(answer))
        for slot in busy.values():
            yield from self._end_if_late(slot)

    def _receive(self, slot: RunningSlot) -> Iterator[Event]:
        task, job = slot.task, slot.task.job
        try:
            event = self._ray.get(next(task.answer))
        except StopIteration:
            event = Crash("a slot ended its job without a word")
        except self._ray.exceptions.RayError as error:
            self._slots.drop(slot)
            yield job, self._explain_loss(error, task)
            return
        if isinstance(event, Begun):
            task.has_begun = True
            return
        if isinstance(event, Retiring):
            task.is_last = True
            return
        if isinstance(event, StateFile):
            _keep_state(job, event)
            return
        if isinstance(event, NodeUnfit):
            self._slots.refuse(slot, event.reason)
            yield job, Stoppage(f"its node {event.reason}", task.paid_seconds, is_innocent=True)
            return
        if isinstance(event, Progress | Epochs):
            epochs = event.progress if isinstance(event, Epochs) else (event,)
            task.paid_seconds = epochs[-1].paid_seconds
            task.epochs += [progress.epoch for progress in epochs]
            self._send_frontier(slot)
            yield from ((job, progress) for progress in epochs)
            return
        slot.task = None
        if task.is_last:
            self._slots.replace(slot)
        yield job, event

    def _send_frontier(self, slot: RunningSlot) -> None:
        """Tell a slot the frontier if it has changed; nobody waits for that."""
        if self._frontier is not slot.task.sent_frontier:
            with suppress(self._ray.exceptions.RayError):  # it is lost: `events` will notice
                slot.actor.tell.options(concurrency_group=NEWS).remote(tuple(self._frontier))
            slot.task.sent_frontier = self._frontier

    def _explain_loss(self, error: BaseException, task: _Task) -> Crash | Stoppage | TrialOutcome:
        errors = self._ray.exceptions
        if isinstance(error, errors.RayTaskError):  # the slot lives: what it ran is wrong
            return Crash(str(error))
        text = str(error)
        if isinstance(error, errors.OutOfMemoryError) or "memory pressure" in text:
            return self._cut_off(task, "out of memory: its node had none left, and Ray ended the slot")
        if "terminated expectedly" in text or "node was preempted" in text:
            return Stoppage(SHUT_DOWN, task.paid_seconds, is_innocent=True)
        is_process = "worker process has died" in text  # then Ray adds advice on nodes
        is_node = isinstance(error, errors.ActorUnavailableError) or "node" in text.lower()
        reason = NODE_GONE if is_node and not is_process else DIED
        return Stoppage(reason, task.paid_seconds, is_innocent=not task.has_begun)

    def _cut_off(self, task: _Task, reason: str) -> TrialOutcome:
        assert self._slots.claimed is not None
        assert task.job is not None
        return make_cut_outcome(task.job, self._slots.claimed, task.epochs, reason, task.paid_seconds)

    def _is_late(self, task: _Task) -> bool:
        return self._timeout is not None and time.monotonic() - task.started > self._timeout

    def _end_if_late(self, slot: RunningSlot) -> Iterator[Event]:
        """End a slot whose time is up."""
        task = slot.task
        if self._timeout is not None and self._is_late(task):
            self._slots.drop(slot)
            yield task.job, self._cut_off(task, explain_late(self._timeout))

    # ---- calls ------------------------------------------------------------------------------------------

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        while True:  # until a node can
            slot = self._get_idle_slot()
            answer = self._call_on(slot, function, args, kwargs)
            if not isinstance(answer.value, NodeUnfit):
                break
            self._slots.refuse(slot, answer.value.reason)
        if answer.is_changed:
            self._slots.replace(slot)
        if isinstance(answer.value, FulcrumError):
            raise answer.value
        result: T = answer.value
        return result

    def _call_on(
        self, slot: RunningSlot, function: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]
    ) -> Answer:
        sent = [self._fit(argument) for argument in args]
        settings = [
            value if isinstance(value, Settings) else getattr(value, "settings", None) for value in sent
        ]
        data = next((self._send_data(value) for value in settings if isinstance(value, Settings)), None)
        states = next((_read_states(value.checkpoint) for value in sent if hasattr(value, "checkpoint")), [])
        slot.task = _Task(job=None, answer=slot.actor.call.remote(function, sent, kwargs, data, states))
        try:
            return self._wait_for_answer(slot)
        except self._ray.exceptions.RayTaskError as error:
            raise WorkerLost(str(error).strip().splitlines()[-1]) from None
        except self._ray.exceptions.RayError as error:
            self._slots.drop(slot)
            loss = self._explain_loss(error, slot.task)
            raise WorkerLost(loss.reason if isinstance(loss, Stoppage) else str(error)) from None
        finally:
            slot.task = None

    def _wait_for_answer(self, slot: RunningSlot) -> Answer:
        while not self._ray.wait([slot.task.answer], num_returns=1, timeout=WAIT_SECONDS)[0]:
            if self._timeout is not None and self._is_late(slot.task):
                self._slots.drop(slot)
                raise WorkerLost(explain_late(self._timeout))
        answer: Answer = self._ray.get(slot.task.answer)
        return answer

    def call_here(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return function(*args, **kwargs)

    def close(self) -> None:
        self._slots.close()
        self._ray.shutdown()  # nothing where it was done before


def _read_states(checkpoint: Path | None) -> list[StateFile]:
    """Read the states of a configuration, which a trial may go on from."""
    if checkpoint is None:
        return []
    paths = sorted(checkpoint.parent.glob(f"{checkpoint.stem}-*{checkpoint.suffix}"))
    return [StateFile(path.name, path.read_bytes()) for path in paths]


def _keep_state(job: Job, state: StateFile) -> None:
    """Write a state to where those of its trial lie."""
    if job.checkpoint is not None:
        path = job.checkpoint.parent / Path(state.name).name
        write_content(path, state.content)
