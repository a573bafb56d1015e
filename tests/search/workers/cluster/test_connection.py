"""Joining a cluster: what this process becomes, and what nodes are sent."""

import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import pipeline
from pipeline.cli.compose import compose
from pipeline.errors import BadInput
from pipeline.search.workers.cluster import connection

FOLDER = str(Path(pipeline.__file__).parent)


class Ray:
    """The module, as far as joining goes: it takes SIGTERM over and prints lines of nodes."""

    def __init__(self, error: Exception | None = None) -> None:
        self.told: dict[str, Any] = {}
        self.error = error
        self.exceptions = SimpleNamespace(RayError=KeyError)

    def init(self, **told: Any) -> None:
        self.told = told
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if self.error:
            raise self.error

    def is_initialized(self) -> bool:
        return False  # nobody watches a head that is none


@pytest.fixture
def node_lines(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Where Ray prints lines of nodes; what joining sets in the environment is taken back."""
    lines = SimpleNamespace(print_to_stdstream=print)
    monkeypatch.setitem(sys.modules, "ray._private.worker", lines)
    for name in ("RAY_AUTH_MODE", "RAY_USAGE_STATS_ENABLED", "RAY_BACKEND_LOG_LEVEL", "RAY_AUTH_TOKEN"):
        monkeypatch.setenv(name, "as before")
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setattr(connection, "find_address", lambda _: "head:6379")
    return lines


@pytest.mark.parametrize("has_token", [True, False])
def test_joining_is_silent_and_leaves_signals_alone(
    node_lines: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    has_token: bool,
) -> None:
    ray, before = Ray(), signal.getsignal(signal.SIGTERM)
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setattr(connection, "check_access", lambda *_: has_token)
    monkeypatch.setattr(connection, "close_token_file", lambda: "the token is yours")
    assert connection.connect(compose(["cluster=ray"]).settings) is ray
    assert signal.getsignal(signal.SIGTERM) is before
    assert (ray.told["address"], ray.told["log_to_driver"]) == ("head:6379", False)
    assert ray.told["runtime_env"] == {"py_modules": [FOLDER]}
    environment = connection.os.environ
    assert environment["RAY_USAGE_STATS_ENABLED"] == "0"
    assert environment["RAY_AUTH_MODE"] == ("token" if has_token else "disabled")
    node_lines.print_to_stdstream({"lines": ["a node died"]}, ignore_prefix=False)
    assert capfd.readouterr() == ("", "the token is yours\n" if has_token else "")


def test_a_failure_to_join_is_one_line(node_lines: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    del node_lines
    monkeypatch.setitem(sys.modules, "ray", Ray(RuntimeError("Version mismatch:\n  Ray 2.9")))
    monkeypatch.setattr(connection, "check_access", lambda *_: True)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(
        BadInput, match=r"^cluster\.address must be .*, got head:6379: Version mismatch: Ray 2\.9; "
    ):
        connection.connect(compose(["cluster=ray"]).settings)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_process_that_read_too_early_whether_there_is_a_token_is_told(
    node_lines: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray would try for half a minute, and say that it failed."""
    del node_lines
    monkeypatch.setitem(sys.modules, "ray", Ray(AssertionError("it is not asked")))
    monkeypatch.setattr(connection, "check_access", lambda *_: True)
    monkeypatch.delenv("RAY_AUTH_MODE")
    with pytest.raises(BadInput, match=r"before ray is imported.*export RAY_AUTH_MODE=token"):
        connection.connect(compose(["cluster=ray"]).settings)


def test_without_the_package_the_line_says_how_to_get_it(
    node_lines: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    del node_lines
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(BadInput, match=r"pip install -r requirements-ray\.txt"):
        connection.connect(compose(["cluster=ray", "cluster.address=local"]).settings)


@pytest.mark.parametrize(
    "words",
    [
        ("trial=function", "trial.call=tests.support.my_loops:train"),
        ("trial=command", "trial.command='true'"),
    ],
)
def test_a_loop_travels_with_the_folder_that_it_lies_in(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sent = connection._make_environment(compose(["cluster=ray", *words]).settings)
    assert sent is not None
    assert (sent["py_modules"], sent["working_dir"]) == ([FOLDER], str(tmp_path))
    assert ".venv*/" in sent["excludes"]


def test_a_network_of_the_users_own_travels_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "my_networks").mkdir()
    (tmp_path / "my_networks" / "__init__.py").touch()
    (tmp_path / "my_network.py").touch()
    for build, path in (("my_networks.deep:build", "my_networks"), ("my_network:build", "my_network.py")):
        settings = compose(["cluster=ray", "model=custom", f"model.build={build}"]).settings
        assert connection._make_environment(settings) == {"py_modules": [FOLDER, str(tmp_path / path)]}
    settings = compose(["cluster=ray", "model=custom", "model.build=nowhere_at_all:build"]).settings
    with pytest.raises(BadInput, match=r"^model\.build must lie in a file .* got nowhere_at_all"):
        connection._make_environment(settings)
    monkeypatch.setenv(connection.JOB_VARIABLE, "{}")
    assert connection._make_environment(settings) is None, "what `ray job submit` runs has its code"
