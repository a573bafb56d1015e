"""Slots of a cluster, lost and found: no trial is lost, doubled, or tried for ever."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli.compose import compose
from pipeline.errors import BadInput, FulcrumError
from pipeline.search.workers.cluster import ray_pool, slots
from pipeline.search.workers.cluster.ray_pool import RayPool
from pipeline.search.workers.cluster.slot import Begun, Epochs, NodeUnfit, StateFile
from pipeline.search.workers.cluster.slots import Slots, count_places, resolve_device
from pipeline.search.workers.job import Job, Progress, TrialOutcome
from pipeline.search.workers.pool import Crash, WorkerLost
from pipeline.search.workers.process_state import Retiring
from pipeline.settings.measuring import Device, DeviceKind
from tests.support import fake_ray
from tests.support.fake_ray import FakeRay, Node
from tests.support.sweeps import DEVICE, Scene, complete, composed, curve_of, states

CPU = Device(DeviceKind.cpu, 1, True, 1)
JOB = Job(number=0, settings=composed(("data=digits", "train.epochs=3", "device=auto")).settings)


def train(job: Job, node: Node) -> Iterator[Any]:
    """Train as the pool of other tests does, on any node."""
    del node
    yield Begun()
    first, *others = (Progress(epoch, epoch.device_seconds) for epoch in curve_of(job).epochs)
    yield first
    if others:
        yield Epochs(tuple(others))
    yield complete(job)


def dying(error: Exception, numbers: set[int]) -> Callable[[Job, Node], Iterator[Any]]:
    """Train, but trials of these numbers die with `error` after their first epoch."""

    def work(job: Job, node: Node) -> Iterator[Any]:
        for event in train(job, node):
            yield event
            if job.number in numbers and isinstance(event, Progress):
                raise error

    return work


class Cluster:
    """A pool on a cluster that a test has made up, and what was said."""

    def __init__(self, *nodes: Node, work: Any = train, limit: int | None = None) -> None:
        self.said: list[str] = []
        self.ray = FakeRay(list(nodes), work)
        self.slots = Slots(ray=self.ray, device=CPU, limit=limit, say=self.said.append)
        self.pool = RayPool(self.slots)

    def events(self) -> list[Any]:
        return [event for _ in range(9) for _, event in self.pool.events(())]


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOOK_SECONDS", "GATHER_SECONDS"):
        monkeypatch.setattr(slots, name, 0.0)
    monkeypatch.setattr(ray_pool, "WAIT_SECONDS", 0.0)


def searched(scene: Callable[..., Scene], cluster: Cluster, *words: str) -> Scene:
    found = scene("search.trials=6", *words, pool=cluster.pool)  # type: ignore[arg-type]
    found.sweep.run()
    return found


def test_a_slot_whose_process_was_changed_gets_no_other_trial(scene: Callable[..., Scene]) -> None:
    def work(job: Job, node: Node) -> Iterator[Any]:
        *events, outcome = train(job, node)
        yield from [*events, Retiring(), outcome] if job.number == 1 else [*events, outcome]

    cluster = Cluster(Node("a"), work=work)
    found = searched(scene, cluster)
    assert states(found.store) == ["complete"] * 6
    actors = [actor for *_, actor in cluster.ray.started]
    assert (actors.index(actors[2]), len(set(actors))) == (2, 2)
    assert cluster.ray.killed[0] is actors[0]
    assert cluster.said == [f"1 slot on 1 node: {DEVICE}"], "it is no slot less"


def test_a_sweep_uses_all_slots_and_says_which(scene: Callable[..., Scene]) -> None:
    cluster = Cluster(Node("a", 2), Node("b", niceness=15))
    found = searched(scene, cluster)
    assert states(found.store) == ["complete"] * 6
    assert cluster.said[0] == f"3 slots on 2 nodes: {DEVICE} each"
    assert "niceness 15" in cluster.said[1]
    assert {actor.node.name for *_, actor in cluster.ray.started if actor.node} == {"a", "b"}
    # The data travel once; a job that is told of the frontier hears of it once a change.
    assert len({id(data.files) for _, data, *_ in cluster.ray.started}) == 1
    assert any(actor.heard for actor in cluster.ray.actors)
    found.sweep.close()
    assert cluster.ray.is_down
    assert set(cluster.ray.killed) == set(cluster.ray.actors)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            fake_ray.ActorDiedError(
                "its worker process has died ... to prevent node deaths by resource contention"
            ),
            ray_pool.DIED,
        ),
        (fake_ray.ActorDiedError("The actor died because its node has died"), ray_pool.NODE_GONE),
        (fake_ray.ActorUnavailableError("GRPC error: Socket closed"), ray_pool.NODE_GONE),
        (fake_ray.ActorDiedError("the actor's node was terminated expectedly"), ray_pool.SHUT_DOWN),
    ],
)
def test_the_trial_of_a_lost_slot_is_given_back_and_what_it_spent_counts(
    scene: Callable[..., Scene], error: Exception, reason: str
) -> None:
    cluster = Cluster(Node("a"), Node("b"), work=dying(error, {2}))
    found = searched(scene, cluster)
    assert sorted(states(found.store)) == ["complete"] * 6 + ["fail"]
    (name, told, seconds), *more = found.observer.lost
    assert (name, told, more) == ("2", reason, [])
    assert seconds == found.sweep.results.interrupted_seconds > 0
    assert len(cluster.ray.killed) == 1, "a slot that may go on training would train beside its successor"
    assert len(cluster.ray.actors) == 3


def test_a_trial_that_ends_two_slots_has_failed(scene: Callable[..., Scene]) -> None:
    cluster = Cluster(Node("a"), work=dying(fake_ray.ActorDiedError("worker process has died"), {1, 2}))
    found = searched(scene, cluster)
    failed = [trial for trial in found.sweep.results.trials if trial.state == "failed"]
    assert [trial.reason for trial in failed] == [f"{ray_pool.DIED}, twice"]
    assert failed[0].paid_seconds > 0
    assert len(found.sweep.results.trials) == 6


@pytest.mark.parametrize("how", ["terminated expectedly: received SIGTERM", "preempted: it was drained"])
def test_nodes_that_are_shut_down_are_no_fault_of_a_trial(scene: Callable[..., Scene], how: str) -> None:
    work = dying(fake_ray.ActorDiedError(f"the actor's node was {how}"), {1, 2, 3})
    found = searched(scene, Cluster(Node("a"), work=work))
    assert sorted(states(found.store)) == ["complete"] * 6 + ["fail"] * 3


def test_memory_that_ran_out_is_the_failure_of_a_trial(scene: Callable[..., Scene]) -> None:
    found = searched(scene, Cluster(Node("a"), work=dying(fake_ray.OutOfMemoryError(), {0})))
    (failed,) = [trial for trial in found.sweep.results.trials if trial.state == "failed"]
    assert failed.reason.startswith("out of memory")
    assert failed.reason.endswith("after epoch 1")


def test_slots_of_another_kind_are_refused_once_by_name(scene: Callable[..., Scene]) -> None:
    others = [
        Node("b", 2, device="another CPU, 1 core"),
        Node("c", versions={**Node("a").versions, "keras": "2.1"}),
        Node("d", problem="device=gpu needs a GPU that TensorFlow sees, got none"),
    ]
    cluster = Cluster(Node("a"), *others)
    found = searched(scene, cluster)
    assert states(found.store) == ["complete"] * 6
    assert {actor.node.name for *_, actor in cluster.ray.started if actor.node} == {"a"}
    refusals = sorted(line for line in cluster.said if line.startswith("no slot on"))
    assert refusals[0] == (
        "no slot on host of b: it has another CPU, 1 core, the study is about a CPU, 1 core"
    )
    assert "keras 2.1, not 3" in refusals[1]
    assert "needs a GPU" in refusals[2]
    assert len(refusals) == 3


def test_a_node_whose_disk_is_full_is_left_out_and_its_trial_given_back(scene: Callable[..., Scene]) -> None:
    def work(job: Job, node: Node) -> Iterator[Any]:
        for event in train(job, node):
            if node.name == "b" and isinstance(event, Progress):
                event = NodeUnfit("cannot write (No space left on device)")
            yield event

    cluster = Cluster(Node("a"), Node("b", 2), work=work)
    found = searched(scene, cluster)
    assert sorted(states(found.store)) == ["complete"] * 6 + ["fail"] * 2
    assert {reason for _, reason, _ in found.observer.lost} == {
        "its node cannot write (No space left on device)"
    }
    assert cluster.said[1] == "no slot on host of b: it cannot write (No space left on device)"
    assert cluster.said.count(cluster.said[1]) == 1
    answers = [NodeUnfit("cannot take the data (it is full)"), 7]
    other = Cluster(Node("a"), Node("b"))
    assert other.pool.call(lambda: answers.pop(0)) == 7
    with pytest.raises(
        FulcrumError, match=r"^no slot of use is left .*: host of a cannot.*; host of b cannot"
    ):
        other.pool.call(lambda: NodeUnfit("cannot take the data"))


def test_a_cluster_without_a_slot_of_use_ends_the_sweep() -> None:
    cluster = Cluster(Node("a", problem="no such device"))
    with pytest.raises(FulcrumError, match=r"^no slot of use is left .*: host of a has no such device"):
        cluster.pool.count_free()


def test_slots_that_cannot_start_end_the_sweep_and_do_not_start_for_ever() -> None:
    cluster = Cluster(
        Node("a", fails=fake_ray.ActorDiedError("ModuleNotFoundError: No module named 'keras'"))
    )
    with pytest.raises(FulcrumError, match=r"5 slots in a row .* No module named 'keras'"):
        cluster.pool.count_free()
    assert len(cluster.ray.actors) == 5
    broken = Cluster(Node("a", fails=fake_ray.RuntimeEnvSetupError("Failed to set up\nno room")))
    with pytest.raises(FulcrumError, match="the last one with: no room"):
        broken.pool.count_free()


def test_a_node_that_cannot_start_slots_does_not_stop_those_that_train() -> None:
    cluster = Cluster(Node("a"))
    assert cluster.pool.count_free() == 1
    cluster.ray.joining = [Node("b", fails=fake_ray.ActorDiedError("no room"))]
    assert {cluster.pool.count_free() for _ in range(12)} == {1}
    assert cluster.said[-1].startswith("no more than 1 slot will be started from here on: 5 slots in a row")
    assert len(cluster.ray.actors) == 1 + 5


def test_a_job_that_never_reached_its_slot_has_not_ended_it(scene: Callable[..., Scene]) -> None:
    def work(job: Job, node: Node) -> Iterator[Any]:
        if len(cluster.ray.started) <= 3:
            raise fake_ray.ActorDiedError("The actor died because its node has died")
        yield from train(job, node)

    cluster = Cluster(Node("a"), work=work)
    found = searched(scene, cluster)
    assert sorted(states(found.store)) == ["complete"] * 6 + ["fail"] * 3
    assert [reason for _, reason, _ in found.observer.lost] == [ray_pool.NODE_GONE] * 3


def test_an_idle_slot_of_a_node_that_is_gone_is_forgotten() -> None:
    cluster = Cluster(Node("a"), Node("b"))
    assert cluster.pool.count_free() == 2
    del cluster.ray.cluster[1]
    assert cluster.pool.count_free() == 1
    assert [actor.node.name for actor in cluster.ray.killed if actor.node] == ["b"]


def test_the_first_slot_is_waited_for_with_a_word() -> None:
    cluster = Cluster()
    cluster.ray.joining = [Node("head", 0), Node("a")]
    assert cluster.pool.count_free() == 1
    assert cluster.said == [
        "waiting for a node with 1 core: the cluster has none yet among its 2 nodes",
        f"1 slot on 1 node: {DEVICE}",
    ]


def test_nodes_that_join_are_used_up_to_the_slots_asked_for() -> None:
    growing, bounded = Cluster(Node("a")), Cluster(Node("a"), limit=2)
    for cluster in (growing, bounded):
        assert cluster.pool.count_free() == 1
        cluster.ray.joining = [Node("b"), Node("c")]
        counts = [cluster.pool.count_free() for _ in range(5)]
        assert counts[-1] == (3 if cluster is growing else 2)


def test_a_job_that_takes_too_long_is_ended_with_its_slot() -> None:
    cluster = Cluster(Node("a"))
    pool = RayPool(cluster.slots, timeout=1e-9)
    cluster.ray.hangs = True
    pool.start(JOB)
    ((job, outcome),) = pool.events(())
    assert job is JOB
    assert isinstance(outcome, TrialOutcome)
    assert (
        outcome.reason
        == "it had not ended after 1e-09 seconds (search.trial_timeout), before its first epoch"
    )
    assert len(cluster.ray.killed) == 1


def test_an_error_of_the_program_on_a_slot_is_one_here_and_the_slot_lives() -> None:
    def fail(job: Job, node: Node) -> Iterator[Any]:
        del job, node
        yield from ()
        raise fake_ray.RayTaskError("KeyError: 'x'")

    cluster = Cluster(Node("a"), work=fail)
    cluster.pool.start(JOB)
    (event,) = cluster.events()
    assert isinstance(event, Crash)
    assert "KeyError" in event.text


def test_states_lie_with_the_sweep_and_go_along_with_the_next_job(tmp_path: Path) -> None:
    def keep(job: Job, node: Node) -> Iterator[Any]:
        yield StateFile(f"{job.checkpoint.stem}-0123.npz", b"state")  # type: ignore[union-attr]
        yield from train(job, node)

    cluster = Cluster(Node("a"), work=keep)
    job = replace(JOB, checkpoint=tmp_path / "states" / "ab12.npz")
    cluster.pool.start(job)
    assert isinstance(cluster.events()[-1], TrialOutcome)
    assert [path.name for path in (tmp_path / "states").iterdir()] == ["ab12-0123.npz"]
    cluster.pool.start(job)
    (_, _, first, _), (_, _, second, _) = cluster.ray.started
    assert (first, second) == ([], [StateFile("ab12-0123.npz", b"state")])


def test_jobs_and_calls_get_the_device_of_the_slots() -> None:
    cluster = Cluster(Node("a"))
    cluster.pool.start(JOB)
    (sent, *_), *_ = cluster.ray.started
    assert JOB.settings.device.kind is DeviceKind.auto
    assert sent.settings.device.kind is DeviceKind.cpu
    cluster.events()
    assert cluster.pool.call(lambda settings: settings.device.kind, JOB.settings) is DeviceKind.cpu
    assert cluster.pool.call_here(lambda settings: settings.device.kind, JOB.settings) is DeviceKind.auto


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (fake_ray.RayTaskError("Traceback\nValueError: seven"), "ValueError: seven"),
        (fake_ray.ActorDiedError("worker process has died"), ray_pool.DIED),
    ],
)
def test_a_call_whose_slot_is_lost_says_so(error: Exception, text: str) -> None:
    def fail() -> None:
        raise error

    cluster = Cluster(Node("a"))
    with pytest.raises(WorkerLost, match=f"^{text}$"):
        cluster.pool.call(fail)
    assert cluster.pool.call(lambda: 7) == 7


def test_room_is_counted_by_gpus_and_by_cores() -> None:
    gpu, pairs = Device(DeviceKind.gpu, 4, True, 1), Device(DeviceKind.cpu, 2, True, 1)
    node = {"CPU": 16.0, "GPU": 8.0}
    assert [count_places(node, device) for device in (CPU, pairs, gpu)] == [16, 8, 4]
    assert [count_places({"CPU": 3.0}, device) for device in (CPU, pairs, gpu)] == [3, 1, 0]
    auto = Device(DeviceKind.auto, 1, True, 1)
    kinds = [resolve_device(auto, [{"Resources": each}]).kind for each in (node, {"CPU": 3.0})]
    assert kinds == [DeviceKind.gpu, DeviceKind.cpu]
    assert count_places(node, replace(gpu, threads=1, count=3)) == 2
    shared = [count_places({"CPU": 99.0, "GPU": 2.0}, gpu, share) for share in (0.5, 0.4, 0.1, 0.7)]
    assert shared == [4, 4, 20, 2]


def test_slots_that_share_a_gpu_ask_ray_for_a_part_of_it() -> None:
    ray = FakeRay([Node("a", cpus=8, gpus=2)], work=train)
    slots = Slots(ray=ray, device=Device(DeviceKind.gpu, 1, True, 1), limit=None, share=0.25)
    slots.refresh()
    assert [actor.made_with["num_gpus"] for actor in ray.actors] == [0.25] * 8
    assert "0.25 GPU and 1 core" in slots._describe_wait()


@pytest.mark.parametrize("words", [["device=cpu"], ["device=gpu", "device.count=2"], []])
def test_a_share_is_of_one_gpu(words: list[str]) -> None:
    with pytest.raises(BadInput, match=r"^cluster\.share must be 1 unless device=gpu"):
        compose(["cluster=ray", "cluster.share=0.5", *words])
    assert compose(["cluster=ray", "cluster.share=0.5", "device=gpu"]).settings.cluster.share == 0.5


def test_workers_are_not_asked_for_beside_slots() -> None:
    with pytest.raises(BadInput, match=r"^search\.workers must be 1 with cluster=ray"):
        compose(["cluster=ray", "search.workers=2"])
    told = [compose(["cluster=ray", *words]).settings for words in ([], ["cluster.slots=16"])]
    assert [settings.parallel_trials for settings in told] == [2, 16]


@pytest.mark.parametrize("problem", ["", "no such device"])
def test_the_device_is_that_of_the_slots_and_a_cluster_of_no_use_is_left(
    problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = FakeRay([Node("a", cpus=4, gpus=4, device="Some GPU, 2 GPUs", problem=problem)], train)
    monkeypatch.setattr(ray_pool, "connect", lambda _: ray)
    settings = compose(["cluster=ray", "device=gpu", "device.count=2"]).settings
    if problem:
        with pytest.raises(FulcrumError, match="no slot of use is left"):
            ray_pool.open_ray_pool(settings)
        assert ray.is_down
        return
    pool, device = ray_pool.open_ray_pool(settings)
    assert device.name == "Some GPU, 2 GPUs"
    assert pool.count_free() == 2
    assert {actor.made_with["num_gpus"] for actor in ray.actors} == {2}
