"""The fork server: a process that imports TensorFlow once, computes nothing, and forks the workers.

It is worth being started before this process imports TensorFlow itself: then both import at the same time.
"""

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import ForkServerContext

from pipeline.processes.environment import make_import_path, set_variable
from pipeline.settings.model import Custom
from pipeline.settings.settings import Settings
from pipeline.settings.training import Function
from pipeline.signals import STOPPING

PRELOADED = [
    "pipeline.search.workers.worker",
    "pipeline.search.workers.network_job",
    "pipeline.search.workers.preloaded",
]
PRELOADED_FOR_LOOPS = [
    "pipeline.search.workers.worker",
    "pipeline.search.workers.user_job",
    "pipeline.search.workers.preloaded",
]
"""Modules that a worker needs for a loop of the user's own: without TensorFlow."""


def needs_processes(settings: Settings) -> bool:
    """Return whether trials run in processes of their own: with `search.workers` >= 1, where they can."""
    return settings.search.workers > 0 and can_fork() and not is_of_script(settings)


def can_fork() -> bool:
    """Return whether this system has fork servers."""
    return "forkserver" in multiprocessing.get_all_start_methods()


def is_of_script(settings: Settings) -> bool:
    """Return whether the script or notebook that runs has defined what trains: no other process knows that.

    So it is with `model.build=__main__:...` and `trial.call=__main__:...`.
    """
    code = settings.model.build if isinstance(settings.model, Custom) else ""
    code = settings.trial.call if isinstance(settings.trial, Function) else code
    return code.startswith("__main__:")


def start_fork_server(for_loops: bool = False) -> ForkServerContext:
    """Start the fork server unless it runs, without waiting for it, and return the context of its processes.

    `for_loops`: its processes run loops of the user's own, for which it imports no TensorFlow.

    Signals that a terminal or a batch system sends to all processes at once do not reach it: the parent
    decides what ends. It ends when the parent has ended.
    """
    context = multiprocessing.get_context("forkserver")
    modules = PRELOADED_FOR_LOOPS if for_loops else PRELOADED
    context.set_forkserver_preload(modules)
    with _importing_ours():
        resource_tracker.ensure_running()  # where it is started it lets SIGINT and SIGTERM through again
        before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)  # inherited
        try:
            try:
                forkserver.ensure_running()
            except ChildProcessError:  # it is of the process that has forked this one, or was waited for
                forkserver._forkserver.__init__()  # type: ignore[misc]  # there is no public way
                context.set_forkserver_preload(modules)
                forkserver.ensure_running()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return context


@contextmanager
def _importing_ours() -> Iterator[None]:
    """Let the processes that the block starts find this program, and no module of the folder that it is in.

    They look into that folder first, where a user may have a `queue.py`, or a `pipeline.py`. Workers have the
    variables and the path of this process again: see `worker.Surroundings`.
    """
    variables = {"PYTHONSAFEPATH": "1", "PYTHONPATH": make_import_path()}
    before = {name: os.environ.get(name) for name in variables}
    try:
        for name, value in variables.items():
            set_variable(name, value)
        yield
    finally:
        for name, earlier in before.items():
            set_variable(name, earlier)
