"""A sweep on a Ray cluster of three nodes that loses one, and then its driver, ends as it was asked."""

import os
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.settings import addresses
from tests.conftest import CHECKOUT
from tests.support.killed_sweeps import EndedStudy

TRIALS = 6
WORDS = ("sweep", "cluster=ray", "search=smoke", f"search.trials={TRIALS}", "search.study=ours")
WORDS += ("train.epochs=300", "schedule=cosine", "pruning=none", "device=cpu", "search.sampler=random")


class Cluster:
    """The nodes, and the address of their head."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.address = self._read()
        self.tell(None, "up 0")
        self.tell(None, "up 1")

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def tell(self, command: str | None, answer: str) -> None:
        if command:
            assert self._process.stdin is not None
            self._process.stdin.write(command + "\n")
            self._process.stdin.flush()
        assert self._read() == answer


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder with a short name: those of sockets in it may have some hundred letters."""
    with tempfile.TemporaryDirectory(prefix="fulcrum-ray-", dir="/tmp", ignore_cleanup_errors=True) as name:
        yield Path(name)


@pytest.fixture(scope="module")
def cluster(folder: Path) -> Iterator[Cluster]:
    """Two nodes for all tests of this file: the one that loses one adds another."""
    command = [sys.executable, "-m", "tests.support.ray_cluster", str(folder)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
        patch.setenv("RAY_TMPDIR", str(folder))
        with subprocess.Popen(
            command,
            cwd=CHECKOUT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process:
            yield Cluster(process)
            process.communicate(timeout=60)


@pytest.fixture
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    monkeypatch.setenv("FULCRUM_CACHE", str(tmp_path / "cache" / "prepared"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    return tmp_path


@contextmanager
def sweeping(address: str, folder: Path) -> Iterator[tuple[subprocess.Popen[str], Iterator[str]]]:
    """Start the sweep; yield its process and the lines of its standard output as they come."""
    with (
        (folder / "stderr.txt").open("a") as errors,
        subprocess.Popen(
            [sys.executable, "-m", "pipeline", *WORDS, f"cluster.address={address}"],
            cwd=CHECKOUT,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        try:
            yield process, iter(process.stdout)
        finally:
            process.kill()


def wait_for(lines: Iterator[str], text: str, seen: list[str]) -> None:
    for line in lines:
        seen.append(line)
        if text in line:
            return
    raise AssertionError(f"no {text!r} in {''.join(seen)}")


@pytest.mark.slow(seconds=90)
def test_a_sweep_outlives_a_node_and_its_driver(cluster: Cluster, folder: Path, own_store: Path) -> None:
    seen = list[str]()
    with sweeping(cluster.address, own_store) as (driver, lines):
        wait_for(lines, " complete: ", seen)
        cluster.tell("kill 1", "killed 1")
        wait_for(lines, " complete: ", seen)
        os.kill(driver.pid, signal.SIGKILL)
        driver.wait()
    cluster.tell("add", "up 2")
    with sweeping(cluster.address, own_store) as (driver, lines):
        seen += lines
        assert driver.wait() == 0, (own_store / "stderr.txt").read_text()[-3000:]

    whole = EndedStudy(name="ours", trials=TRIALS, storage=addresses.make_study_address(), folder=own_store)
    assert whole.find_faults() == []
    text = "".join(seen)
    assert f"ours: {TRIALS} trials ({TRIALS} complete)" in text
    # Nothing but our own lines, whatever nodes and Ray have to say: their deaths are on standard output, too.
    assert "raylet" not in text
    assert "Ray" not in text
    told = (own_store / "stderr.txt").read_text()
    assert "slots on 2 nodes: " in told
    assert "raylet" not in told
    # The data travelled: nodes have a cache of their own.
    assert any((folder / f"cache{node}").glob("prepared/*/prepared.json") for node in range(3))


LOOP = """from pathlib import Path

def train(settings):
    for epoch in range(settings.epochs):
        yield settings.rate * float(Path("factor.txt").read_text())
"""
PROGRAM = """import json, sys
from pathlib import Path

print(json.dumps({"accuracy": float(sys.argv[1]) * float(Path("factor.txt").read_text())}))
"""


@pytest.mark.slow(seconds=50)
def test_loops_of_ones_own_run_on_nodes_beside_what_they_read(
    cluster: Cluster, own_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = own_store / "home"
    home.mkdir()
    (home / "my_own_loop.py").write_text(LOOP)
    (home / "my_own_program.py").write_text(PROGRAM)
    (home / "factor.txt").write_text("0.5")
    monkeypatch.setenv("PYTHONPATH", str(CHECKOUT))
    for kind in (
        ["trial=function", "trial.call=my_own_loop:train"],
        ["trial=command", f"trial.command='{sys.executable} my_own_program.py {{rate}}'"],
    ):
        words = ["sweep", "cluster=ray", f"cluster.address={cluster.address}", *kind, "rate=0.2,0.8"]
        more = ["epochs=1", "search.trials=2", "search.confirm=0", "search.sampler=grid", "pruning=none"]
        done = subprocess.run(
            [sys.executable, "-m", "pipeline", *words, *more, f"search.study={kind[0][6:]}", "device=cpu"],
            cwd=home,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        assert "2 trials (2 complete)" in done.stdout
        assert "40.00%" in done.stdout  # 0.8 x the factor that lies beside the loop
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{own_store / 'second.db'}")
