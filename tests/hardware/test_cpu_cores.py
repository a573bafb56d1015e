"""Cores of one's own: who gets which, and that they come back."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import BadDevice, Stopped
from pipeline.hardware import cpu_cores
from pipeline.hardware.cpu_cores import CoreTicks
from pipeline.hardware.cpu_quota import CpuQuota
from tests.support.signalled import stop_at_each_line

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores cannot be bound here")

PINNED = """
import os, sys
from pathlib import Path
from pipeline.hardware import cpu_cores as cores
held = cores.claim_cores(int(sys.argv[2]), Path(sys.argv[1]))
print(*held, "|", *sorted(os.sched_getaffinity(0)), flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize(
    ("allowed", "quota", "share", "cores"),
    [
        ({0, 1, 2, 3}, None, "", 4),
        ({0, 1, 2, 3}, 1.5, "", 2),
        ({2}, 3.0, "8", 1),
        ({0, 1}, 0.3, "2", 1),
        ({0, 1, 2, 3}, None, "2", 2),
        ({0, 1, 2, 3}, None, "two", 4),
        ({0, 1, 2, 3}, None, "0", 4),
    ],
)
def test_a_trial_has_no_more_cores_than_its_process(
    allowed: set[int], quota: float | None, share: str, cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", share)
    monkeypatch.setattr(cpu_cores, "_claim", None)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: allowed)
    monkeypatch.setattr(cpu_cores, "find_quota", lambda: quota and CpuQuota(quota, Path("cpu.stat")))
    cpu_cores.check_threads(cores)
    with pytest.raises(
        BadDevice, match=rf"^device\.threads must be at most {cores}, .* got {cores + 1}; ask"
    ):
        cpu_cores.check_threads(cores + 1)


def test_a_program_that_is_stopped_as_it_takes_or_leaves_cores_keeps_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpu_cores, "OBSERVE_SECONDS", 0.0)
    allowed = os.sched_getaffinity(0)

    def take_and_leave() -> None:
        cpu_cores.claim_cores(1, tmp_path)
        cpu_cores.release_cores()

    for place, error in stop_at_each_line(take_and_leave, "hardware/cpu_cores.py"):
        assert isinstance(error, Stopped), place
        cpu_cores.release_cores()
        assert os.sched_getaffinity(0) == allowed, place
        for path in tmp_path.iterdir():
            lock = cpu_cores.try_lock(path)
            assert lock is not None, place
            os.close(lock)


class Trial:
    """A process that pins itself and stays until it is let go."""

    def __init__(self, folder: Path, count: int = 1, allowed: set[int] | None = None) -> None:
        bind = (lambda: os.sched_setaffinity(0, allowed)) if allowed else None
        self.process = subprocess.Popen(
            [sys.executable, "-c", PINNED, str(folder), str(count)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=bind,
        )
        assert self.process.stdout is not None
        held, _, bound = self.process.stdout.readline().partition("|")
        self.held, self.bound = set(map(int, held.split())), set(map(int, bound.split()))

    def __enter__(self) -> "Trial":
        return self

    def __exit__(self, *_error: object) -> None:
        self.process.kill()
        self.process.communicate()


def two_cores() -> set[int]:
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        pytest.skip("needs two cores")
    return set(allowed[:2])


def test_trials_at_once_get_different_cores_and_the_third_goes_on_unbound(tmp_path: Path) -> None:
    allowed = two_cores()
    with Trial(tmp_path, allowed=allowed) as one, Trial(tmp_path, allowed=allowed) as two:
        assert len(one.held) == len(two.held) == 1
        assert one.held | two.held == allowed
        assert (one.bound, two.bound) == (one.held, two.held)
        with Trial(tmp_path, allowed=allowed) as three:
            assert (three.held, three.bound) == (set(), allowed)


def test_a_killed_trial_gives_its_core_back(tmp_path: Path) -> None:
    core = {min(os.sched_getaffinity(0))}
    with Trial(tmp_path, allowed=core) as first:
        assert first.held == core
        with Trial(tmp_path, allowed=core) as second:
            assert second.held == set()
    with Trial(tmp_path, allowed=core) as third:
        assert third.held == core


def test_more_cores_than_are_free_are_not_taken_in_part(tmp_path: Path) -> None:
    allowed = two_cores()
    with Trial(tmp_path, allowed=allowed), Trial(tmp_path, 2, allowed) as greedy:
        assert (greedy.held, greedy.bound) == (set(), allowed)
        with Trial(tmp_path, allowed=allowed) as modest:
            assert len(modest.held) == 1
    with Trial(tmp_path, 2, allowed) as both:
        assert both.held == both.bound == allowed


def test_every_thread_is_bound_and_released(tmp_path: Path) -> None:
    program = (
        "import os, threading, sys; from pathlib import Path\n"
        "from pipeline.hardware import cpu_cores as cores\n"
        "done = threading.Event(); other = threading.Thread(target=done.wait); other.start()\n"
        "before = os.sched_getaffinity(0)\n"
        "held = set(cores.claim_cores(1, Path(sys.argv[1])))\n"
        "assert len(held) == 1 and set(cores.claim_cores(1, Path(sys.argv[1]))) == held\n"
        "assert set(cores.get_claimed_cores()) == held\n"
        "assert all(os.sched_getaffinity(int(t)) == held for t in os.listdir('/proc/self/task'))\n"
        "cores.release_cores(); assert cores.get_claimed_cores() == ()\n"
        "assert all(os.sched_getaffinity(int(t)) == before for t in os.listdir('/proc/self/task'))\n"
        "done.set()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_fork_does_not_pass_for_its_parent(tmp_path: Path) -> None:
    allowed = two_cores()
    program = (
        "import os, sys; from pathlib import Path; from pipeline.hardware import cpu_cores as cores\n"
        f"os.sched_setaffinity(0, {allowed}); folder = Path(sys.argv[1])\n"
        "ours = cores.claim_cores(1, folder)\n"
        "child = os.fork()\n"
        "if child == 0: inherited = cores.get_claimed_cores()\n"
        "if child == 0: os._exit(inherited != () or not set(cores.claim_cores(1, folder)).isdisjoint(ours))\n"
        "sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_system_that_cannot_bind_holds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_setaffinity")
    assert cpu_cores.claim_cores(1, tmp_path) == ()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_somebody_else_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert cpu_cores.make_user_folder().stat().st_mode & 0o77 == 0
    mine = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: mine + 1)
    with pytest.raises(PermissionError):
        cpu_cores.make_user_folder()


def test_the_least_busy_core_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = iter([[10, 10, 10, 10], [10, 19, 12, 13]])
    monkeypatch.setattr(
        cpu_cores,
        "read_core_ticks",
        lambda _stat: {core: CoreTicks(busy, 0, 0) for core, busy in enumerate(next(counts))},
    )
    monkeypatch.setattr(
        cpu_cores, "read_sibling_cores", lambda core: {0: [0, 1], 1: [0, 1]}.get(core, [core])
    )
    monkeypatch.setattr(cpu_cores, "OBSERVE_SECONDS", 0)
    assert cpu_cores._sort_by_load(frozenset(range(4))) == [2, 3, 0, 1]  # 0 shares its core with 1


def test_busy_leaves_out_idle_and_waiting(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    stat.write_text(
        "cpu 9 9 9 9 9 9 9 9 0 0\ncpu0 1 2 3 100 100 4 5 6 0 0\ncpu11 1 0 0 9 9 0 0 0 0 0\nintr 1\n"
    )
    assert cpu_cores.read_core_ticks(stat) == {0: CoreTicks(21, 200, 6), 11: CoreTicks(1, 18, 0)}
    assert cpu_cores.read_core_ticks(tmp_path / "none") == {}


def test_siblings_are_read_in_both_notations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_cores, "TOPOLOGY", tmp_path)
    for core, text in ((0, "0,64\n"), (2, "2-3\n")):
        folder = tmp_path / f"cpu{core}/topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(text)
    assert [cpu_cores.read_sibling_cores(core) for core in (0, 2, 5)] == [[0, 64], [2, 3], [5]]
