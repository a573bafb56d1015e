"""Networks that do to their process what no trial should: each function is a `model.build`."""
# ruff: noqa: ARG001

import ctypes
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import keras

from tests.support import my_models


def segfaults(shape, classes, settings):
    ctypes.string_at(0)


def is_killed(shape, classes, settings):
    os.kill(os.getpid(), signal.SIGKILL)


def is_asked_to_stop(shape, classes, settings):
    os.kill(os.getpid(), signal.SIGTERM)


def aborts(shape, classes, settings):
    print("no more of this", file=sys.stderr)
    os.abort()


def leaves(shape, classes, settings):
    os._exit(3)


def exits(shape, classes, settings):
    sys.exit("that is all at postgresql://ann:geheim7@h/db")


def interrupts(shape, classes, settings):
    raise KeyboardInterrupt


def eats_memory(shape, classes, settings):
    """Hold 16 MiB more every hundredth of a second, but never more than a GiB."""
    held = []
    for _ in range(64):
        held.append(b"x" * 2**24)
        time.sleep(0.01)
    raise AssertionError("nobody has stopped it")


def runs_out_by_its_limit(shape, classes, settings):
    """Ask for more than the system lets this process have."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**26, resource.RLIM_INFINITY))
    try:
        return bytearray(2**28)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def runs_out(shape, classes, settings):
    raise MemoryError


def recurses(shape, classes, settings):
    return recurses(shape, classes, settings)


def raises_what_cannot_be_copied(shape, classes, settings):
    class Odd(Exception):
        def __init__(self):
            self.lock = threading.Lock()

        def __str__(self):
            raise RuntimeError("no text either")

    raise Odd


def closes_files(shape, classes, settings):
    os.closerange(3, 256)
    return my_models.build(shape, classes, settings)


def talks(shape, classes, settings):
    print("word " * 1_000_000)
    print("the end", file=sys.stderr)
    raise ValueError("said too much")


def hangs(shape, classes, settings):
    time.sleep(1000)


def moves_away(shape, classes, settings):
    os.chdir("/")
    os.environ["FULCRUM_CACHE"] = "/nowhere"
    return my_models.build(shape, classes, settings)


def changes_the_defaults(shape, classes, settings):
    """Change what every later network of this process would find."""
    keras.config.set_floatx("float64")
    sys.path.clear()
    sys.setrecursionlimit(2000)
    return my_models.build(shape, classes, settings)


def stops_the_clock(shape, classes, settings):
    time.perf_counter = lambda: 1.0
    return my_models.build(shape, classes, settings)


def leaves_threads_and_processes(shape, classes, settings):
    """Write the id of a process that it starts where the test looks for it."""
    threading.Thread(target=time.sleep, args=(1000,)).start()
    child = subprocess.Popen(["sleep", "1000"])
    with open(os.environ["CHILD_FILE"], "w") as file:
        file.write(str(child.pid))
    return my_models.build(shape, classes, settings)


def some_widths(shape, classes, settings):
    """Break at two widths, and be a network at any other."""
    {16: segfaults, 24: exits}.get(settings.model.hidden, my_models.build)(shape, classes, settings)
    return my_models.build(shape, classes, settings)
