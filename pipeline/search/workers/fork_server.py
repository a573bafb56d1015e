"""The fork server: a process that imports TensorFlow once, computes nothing, and forks the workers.

It is worth being started before this process imports TensorFlow itself: then both import at the same time.
"""

import multiprocessing
import signal
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import ForkServerContext

from pipeline.settings.model import Custom
from pipeline.settings.settings import Settings

PRELOADED = ["pipeline.search.workers.worker", "pipeline.search.workers.job"]
HELD_BACK = {signal.SIGINT, signal.SIGTERM} | ({signal.SIGHUP} if hasattr(signal, "SIGHUP") else set())


def needs_processes(settings: Settings) -> bool:
    """Return whether trials run in processes of their own: with `search.workers` >= 1, where it is possible.

    A network of the script or notebook that runs (`model.build=__main__:...`) is known to this process alone.
    """
    is_of_script = isinstance(settings.model, Custom) and settings.model.build.startswith("__main__:")
    can_fork = "forkserver" in multiprocessing.get_all_start_methods()
    return settings.search.workers > 0 and can_fork and not is_of_script


def start_fork_server() -> ForkServerContext:
    """Start the fork server unless it runs, without waiting for it, and return the context of its processes.

    Signals that a terminal or a batch system sends to all processes at once do not reach it: the parent
    decides what ends. It ends when the parent has ended.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    resource_tracker.ensure_running()  # where it is started it lets SIGINT and SIGTERM through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)  # inherited
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return context
