"""The connection to a Ray cluster: safe, silent, and without a hand on this process' signals."""

import os
import secrets
import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from pipeline.backend import silent_stderr
from pipeline.errors import BadInput
from pipeline.processes.environment import find_modules_here
from pipeline.search.workers.cluster.address import (
    check_access,
    close_token_file,
    find_address,
    get_token_path,
)
from pipeline.search.workers.cluster.head_watch import watch_head
from pipeline.search.workers.cluster.slots import say_on_stderr
from pipeline.settings.model import Custom
from pipeline.settings.searching.cluster import LOCAL
from pipeline.settings.settings import Settings
from pipeline.settings.training import UserLoop

PACKAGE = Path(__file__).resolve().parents[3]
"""The folder of this program, whatever it is called where it is installed."""

NOT_SENT = (".git/", ".venv*/", "__pycache__/", "*.db", "*.db-*", "mlartifacts/", "mlruns/", ".cache/")
"""Of the user's folder, as in a .gitignore; Ray leaves out what that file names, too."""

JOB_VARIABLE = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Set in what `ray job submit` runs: the job's own environment has the code."""


def connect(settings: Settings) -> Any:
    """Connect this process and return the module `ray`.

    Raises:
        BadInput: Ray is not installed, there is no cluster, or it does not let this user in.
    """
    cluster = settings.cluster
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # its lines would break into the screen's
    if cluster.address == LOCAL:
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        os.environ.setdefault("RAY_worker_niceness", "0")
        options: dict[str, Any] = {"include_dashboard": False, "num_cpus": settings.device.threads}
        return _initialise(_import_ray(), LOCAL, **options)
    address = find_address(cluster)
    has_token = check_access(address, cluster.insecure)
    if has_token and (done := close_token_file()):
        say_on_stderr(done)
    if has_token and not os.environ.get("RAY_AUTH_TOKEN"):
        os.environ["RAY_AUTH_TOKEN_PATH"] = str(get_token_path())  # without HOME Ray finds none by itself
    if has_token and "ray" in sys.modules and os.environ.get("RAY_AUTH_MODE") != "token":
        raise BadInput(
            "cluster=ray must be joined before ray is imported, which reads then whether to show a token, "
            "got a process that has imported it; export RAY_AUTH_MODE=token before it starts"
        )
    os.environ["RAY_AUTH_MODE"] = "token" if has_token else "disabled"
    ray = _initialise(_import_ray(), address, runtime_env=_make_environment(settings))
    watch_head(ray, address, say_on_stderr)
    return ray


def _import_ray() -> Any:
    try:
        return import_module("ray")
    except ImportError:
        raise BadInput(
            "cluster=ray needs the package ray, got none; install it: pip install -r requirements-ray.txt"
        ) from None


def _initialise(ray: Any, address: str, **options: Any) -> Any:
    _silence_nodes()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with silent_stderr():
            ray.init(address=address, log_to_driver=False, logging_level="error", **options)
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        text = " ".join(str(error).split()) or type(error).__name__
        raise BadInput(
            f"cluster.address must be a cluster that this process can join, got {address}: {text}; "
            "use the Python and the Ray of the cluster, on one of its nodes"
        ) from None
    finally:
        for number, handler in handlers.items():  # Ray takes SIGTERM over
            signal.signal(number, handler)
    return ray


def _silence_nodes() -> None:
    """Keep the lines of nodes off standard output, where Ray prints them whatever it was asked for."""
    worker: Any = import_module("ray._private.worker")
    worker.print_to_stdstream = lambda *_, **__: None


def _make_environment(settings: Settings) -> dict[str, Any] | None:
    """Return what nodes are to import: this package and the user's own network or loop, as they are here.

    A loop may read whatever lies beside it, and a program is none to import: the folder that the user is in
    is sent, and is where the loop runs.
    """
    if JOB_VARIABLE in os.environ:
        return None
    modules = [str(PACKAGE)]
    if isinstance(settings.trial, UserLoop):
        return {"py_modules": modules, "working_dir": str(Path.cwd()), "excludes": list(NOT_SENT)}
    if isinstance(settings.model, Custom):
        modules.append(_find_module(settings.model.build.partition(":")[0].partition(".")[0]))
    return {"py_modules": modules}


def _find_module(name: str) -> str:
    """Return the path of the package or the module that a user's network lies in.

    Raises:
        BadInput: it cannot be sent to nodes.
    """
    from importlib.util import find_spec

    find_modules_here()
    try:
        spec = find_spec(name)
    except (ImportError, ValueError):
        spec = None
    folders = list(spec.submodule_search_locations or []) if spec else []
    path = folders[0] if folders else spec.origin if spec else None
    if path is None or not Path(path).exists():
        raise BadInput(
            f"model.build must lie in a file that can be sent to the nodes of cluster=ray, got {name}; "
            "put it into a module"
        )
    return str(path)
