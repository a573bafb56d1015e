"""Shared ground of the tests: an own store and cache, never the checkout's or the user's."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ.pop("MLFLOW_RUN_ID", None)

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment variables that keep everything a test writes in a folder of its own."""
    folder = tmp_path_factory.mktemp("ground")
    return {
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
        "FULCRUM_CACHE": str(folder / "prepared"),
        "COLUMNS": "110",
    }


@pytest.fixture(autouse=True)
def _own_ground(ground: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for key, value in ground.items():
        monkeypatch.setenv(key, value)
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    return


@pytest.fixture
def fulcrum() -> Run:
    """Runs `python -m pipeline WORDS` in a process of its own."""

    def run(
        *words: str, env: dict[str, str] | None = None, timeout: float = 300
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "pipeline", *words],
            cwd=CHECKOUT,
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return run


@pytest.fixture
def data_dir() -> str:
    """The folder with the real data sets; skips where it is not there."""
    folder = os.environ.get("FULCRUM_DATA", "")
    if not (Path(folder) / "mnist" / "train-images-idx3-ubyte.gz").is_file():
        pytest.skip("FULCRUM_DATA names no folder with mnist/train-images-idx3-ubyte.gz")
    return folder


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Where FULCRUM_NO_SKIP is set, a test that did not run has failed."""
    report = yield
    if report.skipped and os.environ.get("FULCRUM_NO_SKIP") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped where nothing may be: {report.longrepr}"
    return report
