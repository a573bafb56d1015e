"""The slots of a sweep on a cluster: as many as there is room for, all with the same device and versions.

Where a slot runs is Ray's choice: what waits for room tells a cluster that grows by itself that it should.
"""

import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from pipeline.errors import FulcrumError, format_one_line
from pipeline.formatting import format_count
from pipeline.hardware.device import ClaimedDevice
from pipeline.search.workers.cluster.slot import Slot, SlotReport, read_versions
from pipeline.settings.measuring import Device, DeviceKind

LOOK_SECONDS = 2.0
"""Between two looks at the nodes."""
GATHER_SECONDS = 5.0
"""How long the first slot waits for others before the sweep begins."""
MAX_FAILED_STARTS = 5
"""Slots in a row that end before they report, until the sweep does."""
CLOSE = 1e-9
"""1 / 0.1 is less than 10."""
REPLACE_SECONDS = 60.0
"""How long nothing is said of fewer slots once one is started anew."""
NEWS = "news"
"""Ray's name for the threads in which a slot hears of the frontier while it trains."""


@dataclass(slots=True, eq=False)
class RunningSlot:
    """A slot; `asked`: reference to its report, which `report` is once it has come; `task`: what it does."""

    actor: Any
    asked: Any
    report: SlotReport | None = None
    task: Any = None


def say_on_stderr(line: str) -> None:
    """Show a line beside the screen."""
    print(line, file=sys.stderr, flush=True)


@dataclass(slots=True, kw_only=True)
class Slots:
    """Starts slots, and lets go of those that are lost or of another kind.

    `ray`: the module, or a stand-in; `limit`: most at once, None: what fits on the nodes; `of_loop`: for a
    training loop of the user's own; `share`: part of a GPU for each slot.
    """

    ray: Any
    device: Device
    limit: int | None
    of_loop: bool = False
    share: float = 1.0
    say: Callable[[str], None] = say_on_stderr
    claimed: ClaimedDevice | None = None
    slots: list[RunningSlot] = field(default_factory=list)
    _make: Any = None
    _refused: dict[str, str] = field(default_factory=dict)
    _failed_starts: int = 0
    _looked_at: float = float("-inf")
    _replaced_at: float = float("-inf")
    _last_line: str = ""

    def __post_init__(self) -> None:
        self.device = resolve_device(self.device, self._list_nodes())
        self._make = self.ray.remote(concurrency_groups={NEWS: 1})(Slot)

    @property
    def ready(self) -> list[RunningSlot]:
        """Return the slots that have reported."""
        return [slot for slot in self.slots if slot.report]

    def refresh(self) -> None:
        """Start what there is room for, and hear who has come up.

        Raises:
            FulcrumError: slots cannot be started, or none that can is of use.
        """
        if time.monotonic() - self._looked_at > LOOK_SECONDS:
            self._looked_at = time.monotonic()
            self._start_missing()
        waiting = {slot.asked: slot for slot in self.slots if not slot.report}
        if not waiting:
            return
        come, _ = self.ray.wait(list(waiting), num_returns=len(waiting), timeout=0)
        for reference in come:
            self._hear(waiting[reference])

    def wait_for_first(self) -> ClaimedDevice:
        """Wait until a slot is there, and a moment for the others; return the device of all.

        Raises:
            FulcrumError: as `refresh`.
        """
        started, is_announced = time.monotonic(), self._is_replacing
        while not self.ready:
            self.refresh()
            if not is_announced and not self.ready and time.monotonic() - started > LOOK_SECONDS:
                self.say(self._describe_wait())
                is_announced = True
            self._rest()
        until = time.monotonic() + GATHER_SECONDS
        while len(self.ready) < len(self.slots) and time.monotonic() < until:
            self.refresh()
            self._rest()
        self.tell_count()
        assert self.claimed is not None
        return self.claimed

    def _rest(self) -> None:
        waiting = [slot.asked for slot in self.slots if not slot.report]
        if waiting:
            self.ray.wait(waiting, num_returns=1, timeout=LOOK_SECONDS / 4)
        elif not self.ready:
            time.sleep(LOOK_SECONDS / 4)

    def drop(self, slot: RunningSlot) -> None:
        """End a slot; another one takes its place at the next look."""
        with suppress(Exception):  # it may be gone already
            self.ray.kill(slot.actor, no_restart=True)
        if slot in self.slots:
            self.slots.remove(slot)

    def replace(self, slot: RunningSlot) -> None:
        """End a slot whose process was changed by what it ran; another one takes its place at once."""
        self.drop(slot)
        self._looked_at, self._replaced_at = float("-inf"), time.monotonic()

    @property
    def _is_replacing(self) -> bool:
        return time.monotonic() - self._replaced_at < REPLACE_SECONDS

    def refuse(self, slot: RunningSlot, reason: str) -> None:
        """End a slot and start none on its node again; `reason`: what the node has or cannot do."""
        self.drop(slot)
        self._looked_at = float("-inf")
        report = slot.report
        if report and report.node not in self._refused:
            self._refused[report.node] = f"{report.host} {reason}"
            self.say(f"no slot on {report.host}: it {reason}")

    def close(self) -> None:
        """End all slots."""
        for slot in list(self.slots):
            self.drop(slot)

    # ---- starting ---------------------------------------------------------------------------------------

    def _list_nodes(self) -> list[Mapping[str, Any]]:
        return [node for node in self.ray.nodes() if node["Alive"]]

    def _start_missing(self) -> None:
        alive = self._list_nodes()
        self._drop_idle({node["NodeID"] for node in alive})
        nodes = [node for node in alive if node["NodeID"] not in self._refused]
        room = sum(count_places(node["Resources"], self.device, self.share) for node in nodes)
        target = room if self.limit is None else self.limit
        if self._refused and not room:
            raise FulcrumError(
                f"no slot of use is left on the cluster: {'; '.join(sorted(set(self._refused.values())))}"
            )
        for _ in range(target - len(self.slots)):
            actor = self._make.options(**self._make_options()).remote(self.device, self.of_loop, self.share)
            self.slots.append(RunningSlot(actor, actor.report.remote()))

    def _drop_idle(self, alive: set[str]) -> None:
        """Forget the slots without a task whose node is gone: nobody hears of it from them."""
        for slot in self.ready:
            if slot.task is None and slot.report and slot.report.node not in alive:
                self.drop(slot)

    def _make_options(self) -> dict[str, Any]:
        is_gpu = self.device.kind is DeviceKind.gpu
        options: dict[str, Any] = {
            "num_cpus": self.device.threads,
            "num_gpus": self._count_gpus() if is_gpu else 0,
            "max_restarts": 0,
            "max_task_retries": 0,
        }
        if self._refused:
            options["label_selector"] = {"ray.io/node-id": f"!in({','.join(self._refused)})"}
        return options

    def _count_gpus(self) -> float:
        return self.device.count if self.share == 1 else self.share

    def _describe_wait(self) -> str:
        threads, slots, nodes = self.device.threads, len(self.slots), len(self._list_nodes())
        cores = format_count(threads, "core")
        gpus = f"{self._count_gpus():g} GPU{'s' * (self.device.count > 1)}"
        need = f"{gpus} and {cores}" if self.device.kind is DeviceKind.gpu else cores
        of = format_count(nodes, "node")
        if not slots:
            return f"waiting for a node with {need}: the cluster has none yet among its {of}"
        return f"waiting for the first of {format_count(slots, 'slot')} ({need} each) on a cluster of {of}"

    # ---- what comes back --------------------------------------------------------------------------------

    def _hear(self, slot: RunningSlot) -> None:
        errors = self.ray.exceptions
        try:
            report: SlotReport = self.ray.get(slot.asked)
        except errors.RayError as error:
            self.drop(slot)
            self._count_failed_start(error)
            return
        self._failed_starts, slot.report = 0, report
        if reason := self._find_misfit(report):
            self.refuse(slot, reason)
            return
        self.claimed = self.claimed or report.device

    def _count_failed_start(self, error: BaseException) -> None:
        """Start no more slots where too many in a row have ended; those that train go on.

        Raises:
            FulcrumError: none trains.
        """
        self._failed_starts += 1
        if self._failed_starts < MAX_FAILED_STARTS:
            return
        text = (
            f"{MAX_FAILED_STARTS} slots in a row ended before they could train, the last one with: "
            f"{_read_last_line(error)}; Ray's logs are in /tmp/ray/session_latest/logs of its node"
        )
        if not self.ready:
            raise FulcrumError(text)
        self.limit, self._failed_starts = len(self.slots), 0
        self.say(f"no more than {format_count(len(self.slots), 'slot')} will be started from here on: {text}")

    def _find_misfit(self, report: SlotReport) -> str:
        """Return why a slot cannot be one of this study; "" where it can."""
        if report.device is None:
            return f"has no such device ({report.problem})"
        versions = read_versions(self.of_loop)
        differing = [
            f"{name} {theirs}, not {versions[name]}"
            for name, theirs in report.versions.items()
            if theirs != versions[name]
        ]
        if differing:
            return f"has {' and '.join(differing)} as here"
        if self.claimed and report.device.name != self.claimed.name:
            return f"has {report.device.name}, the study is about {self.claimed.name}"
        return ""

    def tell_count(self) -> None:
        """Say how many slots there are, where that has changed."""
        ready = self.ready
        if not ready or self.claimed is None or self._is_replacing:
            return
        nodes = len({slot.report.node for slot in ready if slot.report})
        text = f"{format_count(len(ready), 'slot')} on {format_count(nodes, 'node')}"
        line = f"{text}: {self.claimed.name}{' each' * (len(ready) > 1)}"
        if line == self._last_line:
            return
        is_first, self._last_line = not self._last_line, line
        self.say(line)
        nice = max(slot.report.niceness for slot in ready if slot.report)
        if is_first and nice > 0:
            self.say(
                f"slots run at niceness {nice}, after other programs of their nodes; "
                "start the nodes with RAY_worker_niceness=0 to change that"
            )


def resolve_device(device: Device, nodes: list[Mapping[str, Any]]) -> Device:
    """Return `device` with the kind of all slots: with `auto` GPUs, where the cluster has any."""
    if device.kind is not DeviceKind.auto:
        return device
    has_gpu = any(node["Resources"].get("GPU", 0) >= 1 for node in nodes)
    kind = DeviceKind.gpu if has_gpu else DeviceKind.cpu
    return replace(device, kind=kind)


def count_places(resources: Mapping[str, float], device: Device, share: float = 1.0) -> int:
    """Count the slots that a node has room for; `resources`: by their names in Ray.

    `share`: part of a GPU for each slot, where it has less than one; Ray puts no slot on parts of two.
    """
    places = int(resources.get("CPU", 0)) // device.threads
    if device.kind is not DeviceKind.gpu:
        return places
    gpus = int(resources.get("GPU", 0))
    return min(places, gpus // device.count if share == 1 else gpus * int(1 / share + CLOSE))


def _read_last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return format_one_line(lines[-1]) if lines else type(error).__name__
