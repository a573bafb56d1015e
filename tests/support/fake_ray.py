"""Ray as the pool of slots uses it, without a cluster: nodes come, die and refuse as a test says."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from pipeline.hardware.device import ClaimedDevice
from pipeline.search.workers.cluster.slot import Answer, SlotReport, read_versions
from pipeline.search.workers.job import Job
from tests.support.sweeps import DEVICE


class RayError(Exception):
    """The parents are as in `ray.exceptions`."""


class RayTaskError(RayError):
    pass


class RayActorError(RayError):
    pass


class ActorDiedError(RayActorError):
    pass


class ActorUnavailableError(RayActorError):
    pass


class OutOfMemoryError(RayError):
    pass


class RuntimeEnvSetupError(RayError):
    pass


@dataclass
class Node:
    """A node with room for `cpus` slots of a core; `fails`: what its slots raise instead of their report."""

    name: str
    cpus: int = 1
    gpus: int = 0
    device: str = DEVICE
    versions: dict[str, str] = field(default_factory=read_versions)
    niceness: int = 0
    problem: str = ""
    fails: Exception | None = None

    def report(self) -> SlotReport:
        if self.fails:
            raise self.fails
        device = None if self.problem else ClaimedDevice("cpu", self.device, 1, "/CPU:0")
        return SlotReport(
            node=self.name,
            host=f"host of {self.name}",
            device=device,
            versions=self.versions,
            niceness=self.niceness,
            problem=self.problem,
        )


Work = Callable[[Job, Node], Iterator[Any]]


@dataclass(eq=False)
class Reference:
    """What a call will come to, computed when it is asked for."""

    actor: "Actor"
    compute: Callable[[], Any]


@dataclass(eq=False)
class Stream:
    """The events of a job; what `work` raises comes as the next of them."""

    actor: "Actor"
    events: Iterator[Any]

    def __next__(self) -> Reference:
        try:
            event = next(self.events)
        except RayError as error:
            return Reference(self.actor, lambda error=error: _raise(error))  # type: ignore[misc]
        return Reference(self.actor, lambda: event)


def _raise(error: Exception) -> None:
    raise error


class Actor:
    """A slot; it has a place as soon as a node has room."""

    def __init__(self, ray: "FakeRay", options: dict[str, Any]) -> None:
        self.ray, self.made_with = ray, options
        self.node: Node | None = None
        self.heard: list[Sequence[Any]] = []

    @property
    def report(self) -> Any:
        return self._method(lambda: self.node.report())  # type: ignore[union-attr]

    @property
    def tell(self) -> Any:
        def tell(frontier: Sequence[Any]) -> Reference:
            self.heard.append(frontier)
            return Reference(self, lambda: None)

        return SimpleNamespace(options=lambda **_: SimpleNamespace(remote=tell))

    @property
    def run(self) -> Any:
        def run(job: Job, data: Any, states: Sequence[Any]) -> Stream:
            self.ray.started.append((job, data, list(states), self))
            assert self.node is not None
            return Stream(self, self.ray.work(job, self.node))

        return SimpleNamespace(options=lambda **_: SimpleNamespace(remote=run))

    @property
    def call(self) -> Any:
        def call(function: Any, args: Any, kwargs: Any, data: Any, states: Any) -> Reference:
            del data, states
            return Reference(self, lambda: Answer(function(*args, **kwargs)))

        return SimpleNamespace(remote=call)

    def _method(self, compute: Callable[[], Any]) -> Any:
        return SimpleNamespace(remote=lambda *_: Reference(self, compute))


@dataclass
class FakeRay:
    """The module. `work`: what a job does on a node; `hangs`: streams of which nothing comes."""

    cluster: list[Node]
    work: Work
    actors: list[Actor] = field(default_factory=list)
    started: list[tuple[Job, Any, list[Any], Actor]] = field(default_factory=list)
    killed: list[Actor] = field(default_factory=list)
    joining: list[Node] = field(default_factory=list)
    hangs: bool = False
    is_down: bool = False
    exceptions: Any = field(
        default_factory=lambda: SimpleNamespace(
            RayError=RayError,
            RayTaskError=RayTaskError,
            OutOfMemoryError=OutOfMemoryError,
            ActorUnavailableError=ActorUnavailableError,
            RuntimeEnvSetupError=RuntimeEnvSetupError,
        )
    )

    def nodes(self) -> list[dict[str, Any]]:
        """List the nodes; whoever is joining has joined at the next look."""
        listed = [
            {
                "NodeID": node.name,
                "Alive": True,
                "Resources": {"CPU": float(node.cpus), "GPU": float(node.gpus)},
            }
            for node in self.cluster
        ]
        if self.joining:
            self.cluster.append(self.joining.pop(0))
        return listed

    def remote(self, concurrency_groups: dict[str, int]) -> Callable[[type], Any]:
        assert concurrency_groups

        def make(_: type) -> Any:
            return SimpleNamespace(
                options=lambda **options: SimpleNamespace(remote=lambda *_: start(options))
            )

        def start(options: dict[str, Any]) -> Actor:
            assert (options["max_restarts"], options["max_task_retries"]) == (0, 0)
            self.actors.append(Actor(self, options))
            return self.actors[-1]

        return make

    def _place(self, actor: Actor) -> Node | None:
        if actor.node is None:
            barred = str(actor.made_with.get("label_selector", ""))
            taken = [other.node for other in self.actors if other not in self.killed]
            rooms = (
                node for node in self.cluster if taken.count(node) < node.cpus and node.name not in barred
            )
            actor.node = next(rooms, None)
        return actor.node

    def wait(self, waiting: list[Any], num_returns: int, timeout: float) -> tuple[list[Any], list[Any]]:
        del timeout
        come = [each for each in waiting if self._place(each.actor) and not self._hangs(each)][:num_returns]
        return come, [each for each in waiting if each not in come]

    def _hangs(self, waiting: Any) -> bool:
        return self.hangs and isinstance(waiting, Stream)

    def get(self, reference: Any) -> Any:
        return reference.compute() if isinstance(reference, Reference) else reference

    def put(self, value: Any) -> Any:
        return value

    def kill(self, actor: Actor, no_restart: bool) -> None:
        assert no_restart
        self.killed.append(actor)

    def shutdown(self) -> None:
        self.is_down = True
