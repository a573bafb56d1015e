"""Why a worker ended, in one line."""

import signal

from pipeline.errors import format_one_line
from pipeline.formatting import shorten
from pipeline.hardware.memory import explain_sigkill
from pipeline.search.workers.worker import PIPE_LOST
from pipeline.secrets import mask
from pipeline.signals import STOPPING, get_name

EXPLAIN_PIPE_LOST = "it closed files that are not its own"
MAX_LAST_LINE = 200
MEANINGS = {
    "SIGSEGV": "it used memory that is not its own",
    "SIGBUS": "it used memory that is not there",
    "SIGABRT": "a library gave up",
    "SIGFPE": "a whole number was divided by zero",
    "SIGILL": "an instruction that this CPU does not have",
}


def is_stopped_by_others(exit_code: int | None) -> bool:
    """Return whether a worker ended because somebody asked it to."""
    return exit_code is not None and -exit_code in STOPPING


def explain_exit(exit_code: int | None, oom_kills_before: int | None, output: str) -> str:
    """Explain an exit code.

    `oom_kills_before`: what `count_oom_kills` said when the job began; `output`: what the worker printed.
    """
    if exit_code == PIPE_LOST:
        return EXPLAIN_PIPE_LOST
    if exit_code is None or exit_code >= 0:
        return f"its process ended with exit code {exit_code}{_quote_last_line(output)}"
    if "bad_alloc" in output:
        return f"out of memory: its process was ended by {_name_signal(-exit_code)} (bad_alloc)"
    if -exit_code == signal.SIGKILL and (why := explain_sigkill(oom_kills_before)):
        if why.endswith("?"):
            return f"its process was ended by SIGKILL ({why})"
        return f"{why}: the system ended its process (SIGKILL)"
    name = _name_signal(-exit_code)
    meaning = f" ({MEANINGS[name]})" if name in MEANINGS else ""
    told = _quote_last_line(output) if name == "SIGABRT" else ""
    return f"its process was ended by {name}{meaning}{told}"


def _name_signal(number: int) -> str:
    name = get_name(number)
    return f"signal {name}" if name.isdecimal() else name


def _quote_last_line(output: str) -> str:
    """Quote the last line that a process printed, if there is one; the trace of `faulthandler` is none."""
    text = output.partition("Fatal Python error:")[0]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return ""
    return f"; its last words were {shorten(format_one_line(mask(lines[-1])), MAX_LAST_LINE)!r}"
