"""Fixtures of all tests: an own store and cache, never the checkout's or the user's; commands; a browser."""

import functools
import gc
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import alembic.util
import pytest
from hypothesis import settings
from sqlalchemy import event
from sqlalchemy.engine import Engine
from xdist.scheduler import LoadScopeScheduling

from pipeline import signals
from pipeline.cli import main
from pipeline.hardware import cpu_cores, gpus

if TYPE_CHECKING:
    from selenium import webdriver

CHECKOUT = Path(__file__).resolve().parents[1]
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
# One commit has one result: generated examples are the same in each run, others only where one asks for them;
# and no time limit, which a busy machine breaks.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("explore", derandomize=False, deadline=None)
settings.load_profile("explore" if os.environ.get("FULCRUM_EXPLORE") else "repeatable")
os.environ.pop("MLFLOW_RUN_ID", None)

HANDLERS = {number: signal.getsignal(number) for number in signals.STOPPING}

DATA_SETS = ("mnist", "fsdd", "rt-polarity")

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


@pytest.fixture(scope="session", autouse=True)
def _load_migrations_once() -> Iterator[None]:
    """Optuna reads its migrations anew whenever a storage is opened; here once."""
    load = alembic.util.load_python_file
    once = functools.cache(load)
    with pytest.MonkeyPatch.context() as patch:
        # env.py is no module that is read but the step of a migration: it runs each time.
        patch.setattr(
            alembic.util,
            "load_python_file",
            lambda folder, name: (load if name == "env.py" else once)(folder, name),
        )
        yield


@pytest.fixture(scope="session", autouse=True)
def _make_tables_once() -> Iterator[None]:
    """MLflow makes the tables of a new store by all its migrations, a second of work: once, then copied."""
    if "mlflow" not in sys.modules:
        yield
        return
    from mlflow.store.db import utils

    make, made = utils._initialize_tables, sqlite3.connect(":memory:", check_same_thread=False)

    def make_or_copy(engine: Engine) -> None:
        if engine.dialect.name != "sqlite" or not utils._is_empty_database(engine):
            make(engine)
            return
        is_first = not made.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if is_first:
            make(engine)
        with engine.connect() as connection:
            fresh = connection.connection.driver_connection
            assert isinstance(fresh, sqlite3.Connection)
            if is_first:
                fresh.backup(made)
            else:
                made.backup(fresh)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(utils, "_initialize_tables", make_or_copy)
        yield
    made.close()


@pytest.fixture(scope="session", autouse=True)
def _measure_briefly() -> Iterator[None]:
    """Peaks of a device and the parts of an epoch take seconds each time; no test looks at the figures."""
    with pytest.MonkeyPatch.context() as patch:
        if "pipeline.profiling.measure_breakdown" in sys.modules:
            from tests.support import tiny

            tiny.quick(patch)
        yield


@pytest.fixture(autouse=True)
def _own_ground(ground: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for key, value in ground.items():
        monkeypatch.setenv(key, value)
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    yield
    # A command that ran in this very process would leave it, and all that the next tests start, on one core.
    cpu_cores.release_cores()
    gpus.release_gpus()
    del signals._received[:], signals._pending[:], signals._deferred[:]
    for number, handler in HANDLERS.items():
        signal.signal(number, handler)


@pytest.fixture
def fulcrum(capfd: pytest.CaptureFixture[str]) -> Run:
    """Run `python -m pipeline WORDS` within this process, which has imported TensorFlow already.

    The result looks like a process's; what libraries write past Python's `sys.stderr` is in it, too.
    """
    if shutil.which("nvidia-smi"):  # a process cannot leave the kind of device that it has computed with
        return run_process

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        capfd.readouterr()
        code = main(words)
        out, err = capfd.readouterr()
        return subprocess.CompletedProcess(words, code, out, err)

    return run


@pytest.fixture
def fulcrum_process() -> Run:
    """Run `python -m pipeline WORDS` in a process of its own, for tests whose point that is."""
    return run_process


def run_process(
    *words: str, env: dict[str, str] | None = None, timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """Run `python -m pipeline WORDS` to its end; `env` on top of this process's environment."""
    return subprocess.run(
        [sys.executable, "-m", "pipeline", *words],
        cwd=CHECKOUT,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


@pytest.fixture
def data_dir() -> str:
    """The folder with the real data sets; skips where one of them is not there: nothing is downloaded."""
    folder = os.environ.get("FULCRUM_DATA", "")
    missing = [name for name in DATA_SETS if not folder or not any(Path(folder, name).glob("*"))]
    if missing:
        pytest.skip(
            f"FULCRUM_DATA must name a folder with {', '.join(DATA_SETS)}, got none with {missing[0]}"
        )
    return folder


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[webdriver.Chrome]":
    """A headless Chromium, started once; skips where there is none."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not program or not driver:
        pytest.skip("needs chromium and chromedriver on the PATH")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for word in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
        f"--user-data-dir={tmp_path_factory.mktemp('profile')}",
    ):
        options.add_argument(word)
    chrome = webdriver.Chrome(options=options, service=Service(driver))
    yield chrome
    chrome.quit()


@pytest.fixture
def browser(chromium: "webdriver.Chrome") -> "Iterator[webdriver.Chrome]":
    """A tab of its own, of one size, which leaves nothing that a page has stored behind."""
    first = chromium.current_window_handle
    chromium.switch_to.new_window("tab")
    chromium.set_window_size(1500, 1400)
    chromium.get_log("browser")  # what the tabs before have said
    yield chromium
    chromium.execute_script("try { localStorage.clear(); sessionStorage.clear(); } catch (error) {}")
    chromium.delete_all_cookies()
    chromium.close()
    chromium.switch_to.window(first)


@pytest.fixture(scope="session")
def ui(ground: dict[str, str]) -> Iterator[str]:
    """Address of a UI over the tests' own store, started once."""
    import requests

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "pipeline", "ui", f"ui.port={port}"],
        cwd=CHECKOUT,
        env={**os.environ, **ground},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 240
    try:
        while True:
            try:
                requests.get(f"{address}/health", timeout=2).raise_for_status()
                break
            except requests.RequestException:
                assert server.poll() is None, "the UI ended"
                assert time.monotonic() < deadline, "the UI never came up"
                time.sleep(0.3)
        yield address
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=30)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out what has no slow test where only those are asked for: importing it takes longer than they."""
    only_slow = config.getoption("markexpr") == "slow" and collection_path.suffix == ".py"
    return True if only_slow and not _names_slow_tests(collection_path) else None


@functools.cache
def _names_slow_tests(path: Path) -> bool:
    return re.search(r"\bmark\.(slow|browser)\b", path.read_text()) is not None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever opens a browser is slow; what takes longest begins, so that none is alone at the end."""
    seconds = Counter[str]()
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.slow(seconds=8))
        if slow := item.get_closest_marker("slow"):
            if not _names_slow_tests(item.path):
                raise pytest.UsageError(
                    f"{item.path} must name pytest.mark.slow itself: -m slow skips it else"
                )
            seconds[_find_group(item.nodeid)] += slow.kwargs.get("seconds", 0)
    items.sort(key=lambda item: -seconds[_find_group(item.nodeid)])


def _find_group(nodeid: str) -> str:
    """Return what a test shares with others, in seconds: the browser, its file's fixtures; else the test."""
    return _find_shared(nodeid.partition("::")[0]) or nodeid


@functools.cache
def _find_shared(file: str) -> str:
    text = (CHECKOUT / file).read_text()
    return "browser" if "mark.browser" in text else file if 'scope="module"' in text else ""


class LongestFirst(LoadScopeScheduling):
    """`--dist=loadscope` of slow tests: each goes to whichever process is free, with those of its group."""

    def _split_scope(self, nodeid: str) -> str:
        return _find_group(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling | None:
    """Share out slow tests one by one, in their order; xdist's groups are lost on this pytest."""
    return LongestFirst(config, log) if config.getvalue("dist") == "loadscope" else None


def pytest_collection_finish() -> None:
    """Take what is imported out of the garbage collector's sight: it looked for some third of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


@event.listens_for(Engine, "connect")
def _do_not_wait_for_the_disk(connection: Any, _record: object) -> None:
    """No test pulls the plug; processes that tests start and kill wait as ever."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous = OFF")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Where FULCRUM_NO_SKIP is set, a test that did not run has failed."""
    report = yield
    if report.skipped and os.environ.get("FULCRUM_NO_SKIP") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped where nothing may be: {report.longrepr}"
    return report
