"""A program of the user's: started with its values in its words, it prints a line of JSON after each epoch.

    {"epoch": 1, "accuracy": 0.91, "train_loss": 0.3}
    {"clock": "stop"}   what follows is no training, until {"clock": "start"} or the next accuracy

On a CPU the cost is the CPU seconds of the program and of all that it starts, on a GPU wall seconds.
"""

import errno
import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from secrets import token_hex
from typing import Any

import psutil

from pipeline import signals
from pipeline.errors import BadInput, LoopFailed, format_one_line
from pipeline.files import expand_home
from pipeline.formatting import shorten
from pipeline.hardware.device import ClaimedDevice
from pipeline.hardware.energy import WATTS, EnergyMeter, open_gauge
from pipeline.hardware.memory import count_oom_kills, explain_sigkill
from pipeline.hardware.process_marks import MARKS, add_mark, kill_marked
from pipeline.hardware.process_seconds import count_tree_seconds
from pipeline.measures import LEAST_SECONDS, PowerDraw, Seconds
from pipeline.secrets import mask
from pipeline.settings.settings import Settings
from pipeline.settings.training import Command
from pipeline.trial.program_output import (
    hides_report,
    is_broken_report,
    is_cut_report,
    is_nearly_report,
    parse_line,
    read_file,
    read_pipe,
    show_line,
)
from pipeline.trial.reports import ACCURACY, STATE, Report, read_report
from pipeline.trial.user_keys import OUTPUT, PLACEHOLDER, list_placeholders
from pipeline.trial.user_loop import LoopCost

GRACE_SECONDS = 2.0
"""How long a program that is ended may take to be gone."""
LAST_SECONDS = 60.0
"""How long a program that knows its last epoch may take to end after it, to save what it has."""
MAX_TEXT = 200
CLOCK = "clock"
WHOSE = "trial.command"


def start(settings: Settings, device: ClaimedDevice, _state: Any) -> "RunningCommand":
    """Start a program at its beginning: nobody knows how it could go on from a pause.

    Raises:
        LoopFailed: it cannot be started.
        BadInput: its log cannot be written.
    """
    trial, train = settings.trial, settings.train
    assert isinstance(trial, Command)
    folder = expand_home(settings.cache_dir).absolute().parent / "logs"
    name = f"{trial.name}-{os.getpid()}-{token_hex(4)}"
    values = {**trial.values, "epochs": train.epochs, "seed": train.seed, OUTPUT: folder / f"{name}.jsonl"}
    words = fill_words(trial.command, values)
    names = list_placeholders(trial.command)
    output = folder / f"{name}.jsonl" if OUTPUT in names else None
    last = train.epochs if "epochs" in names else None
    running = RunningCommand(words, device, folder / f"{name}.log", output, last)
    running.watts = WATTS[device.kind] if settings.price.watts is None else settings.price.watts
    return running


def fill_words(command: str, values: Mapping[str, Any]) -> list[str]:
    """Return the words of a command line with the values for its `{keys}`; no shell reads them."""

    def fill(match: re.Match[str]) -> str:
        return format_plain(values[match[1]]) if match[1] else match[0][0]

    return [PLACEHOLDER.sub(fill, word) for word in shlex.split(command)]


def format_plain(value: Any) -> str:
    """Format a value as a word of a command line: true, null, 0.1, a,b."""
    if isinstance(value, list):
        return ",".join(map(format_plain, value))
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else str(value)


def _is_report(line: bytes) -> bool:
    return ACCURACY in (parse_line(line) or {})


def _check_state(values: Mapping[str, Any], number: int) -> None:
    """Raise where a program reports a state, from which nobody could let it go on."""
    if STATE in values:
        raise LoopFailed(
            f"{WHOSE} must report no {STATE}, since a program begins anew after a pause, got one in epoch "
            f"{number}; leave it out"
        )


def _explain_start(program: str, error: OSError | ValueError) -> str:
    if isinstance(error, ValueError) or error.errno == errno.E2BIG:  # a zero byte ends a word
        return f"{WHOSE} must get words that a program can be given, got some ({error}); hand over a file"
    remedy = "write its path in full or install it"
    if error.errno == errno.EACCES:
        remedy = "make it executable, or write what runs it before it, as python"
    return f"{WHOSE} must be a program that can be started, got {program} ({error.strerror}); {remedy}"


class RunningCommand:
    """A program in progress."""

    def __init__(
        self, words: list[str], device: ClaimedDevice, log: Path, output: Path | None, last: int | None
    ) -> None:
        """Start the program.

        `output`: the file to which it writes its lines, None: it prints them; `last`: the epoch after which
        it ends by itself, None: nobody told it.
        """
        self._device, self._log, self._output, self._last = device, log, output, last
        self._oom_kills = count_oom_kills()
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("wb") as file:
                self._process = subprocess.Popen(
                    words,
                    stdin=subprocess.DEVNULL,
                    stdout=file if output else subprocess.PIPE,
                    stderr=file,
                    process_group=0,
                    env={**os.environ, "PYTHONUNBUFFERED": "1", MARKS: add_mark(log.stem)},
                )
        except (OSError, ValueError) as error:
            log.unlink(missing_ok=True)
            if getattr(error, "filename", None) in (str(log.parent), str(log)):
                raise BadInput(f"cache_dir must be a writable folder, got {log.parent} ({error})") from None
            raise LoopFailed(_explain_start(words[0], error)) from None
        if output:
            self._lines = read_file(output, self._is_over)
        else:
            assert self._process.stdout
            self._lines = read_pipe(self._process.stdout.fileno(), self._is_over)
        self._read_last = 0.0
        self._since: float | None = self._read_seconds() if device.kind == "gpu" else 0.0
        self._stopped, self._counted, self._left_out = 0.0, 0.0, 0.0
        self._epoch: int | None = None
        self._nearly, self._hidden = b"", list[bytes]()
        self.watts = WATTS[device.kind]
        self._gauge = open_gauge(device.kind, device.count)
        self._energy = EnergyMeter(self._gauge)
        self._begin_energy()

    def _begin_energy(self) -> None:
        self._measuring: AbstractContextManager[None] = self._energy.measure()
        self._measuring.__enter__()

    def advance(self, number: int) -> Report | None:
        """Wait for the program's next accuracy; see `RunningLoop`."""
        line = b""
        for line in self._lines:
            values = parse_line(line)
            if values is not None and CLOCK in values:
                self._set_clock(values[CLOCK], is_first=number == 1)
            elif values is not None and ACCURACY in values:
                self._stop_clock()
                self._start_clock()
                self._check_epoch(values.pop("epoch", None), number)
                _check_state(values, number)
                report = read_report(values, number, WHOSE)
                if number == self._last:
                    self._await_end()
                return report
            else:
                self._write_log(line)
                if is_broken_report(line):
                    raise self._explain_nearly(line)
                self._nearly = self._nearly or (line if is_nearly_report(line) else b"")
                self._hidden += [line] if hides_report(line) else []
        self._check_exit()
        if is_cut_report(line):
            raise self._explain_nearly(line)
        if number == 1 and self._nearly:
            raise self._explain_nearly(self._nearly)
        if len(self._hidden) >= number:  # more than reports: they are no remarks beside them
            raise self._explain_nearly(self._hidden[-1])
        if number == 1 and any(map(_is_report, self._log.read_bytes().splitlines())):
            target = "into {output}" if self._output else "to its standard output"
            raise LoopFailed(f"{WHOSE} must write its accuracy {target}, got it elsewhere; write it there")
        return None

    def _explain_nearly(self, line: bytes) -> LoopFailed:
        if b"\0" in line:
            return LoopFailed(f"{WHOSE} must print its accuracy in UTF-8, got UTF-16; set its encoding")
        text = format_one_line(shorten(show_line(line).decode(errors="replace").strip(), MAX_TEXT))
        return LoopFailed(
            f"{WHOSE} must print its accuracy as a line of JSON by itself, got {text!r}; print "
            '{"epoch": 1, "accuracy": 0.9}, as json.dumps writes it'
        )

    def measure(self) -> LoopCost:
        """Return what the program has cost up to its last accuracy."""
        seconds = max(self._counted, LEAST_SECONDS)
        cost = seconds * (self._device.held if self._device.kind == "gpu" else 1)
        energy = self._energy.summarise()
        if energy.estimated:  # by the CPU seconds of this process, which computes nothing
            energy = PowerDraw(cost * self.watts, cost * self.watts / seconds, estimated=True)
        return LoopCost(
            device_seconds=cost, seconds=Seconds(train=seconds, validate=self._left_out), energy=energy
        )

    def close(self) -> None:
        """End the program and all that it has started; its log goes with it where nothing was wrong."""
        is_failure = self._process.poll() not in (None, 0)
        self._end()
        if self._process.stdout:
            self._process.stdout.close()
        for path in (self._output, None if is_failure else self._log):
            if path:
                path.unlink(missing_ok=True)

    # ---- lines ------------------------------------------------------------------------------------------

    def _write_log(self, line: bytes) -> None:
        with self._log.open("ab") as file:
            file.write(line + b"\n")

    def _check_epoch(self, epoch: Any, number: int) -> None:
        """Raise where the program counts its epochs in another way than by one."""
        if epoch is None:
            return
        expected = (number - 1, number) if self._epoch is None else (self._epoch + 1,)
        if epoch not in expected:
            raise LoopFailed(
                f"{WHOSE} must count its epochs one by one, got epoch {epoch!r} as number {number}; "
                "print one accuracy for each epoch"
            )
        self._epoch = epoch

    # ---- the clock --------------------------------------------------------------------------------------

    def _set_clock(self, what: Any, is_first: bool) -> None:
        """Do what the program asks of the clock; what lies before its first start is set-up."""
        if what == "stop":
            self._stop_clock()
        elif what == "start":
            if is_first and not self._counted:
                self._since, self._energy = None, EnergyMeter(self._gauge)
            self._start_clock()
        else:
            raise LoopFailed(f'{WHOSE}: clock must be "start" or "stop", got {what!r}; print one of them')

    def _stop_clock(self) -> None:
        now = self._read_seconds()
        if self._since is not None:
            self._counted += now - self._since
            self._since, self._stopped = None, now
            self._measuring.__exit__(None, None, None)

    def _start_clock(self) -> None:
        if self._since is None:
            self._since = self._read_seconds()
            self._left_out += self._since - self._stopped
            self._begin_energy()

    def _read_seconds(self) -> float:
        """Return the CPU seconds of the program and all that it has started so far; on a GPU wall seconds."""
        if self._device.kind == "gpu":
            return time.monotonic()
        # A process that was just ended is counted nowhere.
        self._read_last = max(self._read_last, count_tree_seconds(self._process.pid))
        return self._read_last

    def _is_over(self) -> bool:
        """Return whether the program has ended; it is left to be counted."""
        try:
            return bool(psutil.Process(self._process.pid).status() == psutil.STATUS_ZOMBIE)
        except psutil.Error:
            return True

    # ---- the end ----------------------------------------------------------------------------------------

    def _await_end(self) -> None:
        """Wait until the program has ended after its last epoch.

        Raises:
            LoopFailed: it ended badly.
        """
        until = time.monotonic() + LAST_SECONDS
        for line in self._lines:
            self._write_log(line)
            if time.monotonic() > until:
                return
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(max(0.0, until - time.monotonic()))
            self._check_exit()

    def _check_exit(self) -> None:
        code = self._process.wait()
        if code:
            text = self._log.read_text(errors="replace").strip()
            last = (
                format_one_line(shorten(text.splitlines()[-1].strip(), MAX_TEXT))
                if text
                else "it said nothing"
            )
            how = f"exit code {code}" if code > 0 else f"signal {signals.get_name(-code)}"
            if -code == signal.SIGKILL and (why := explain_sigkill(self._oom_kills)):
                how = f"{how} ({why})"
            raise LoopFailed(mask(f"{WHOSE} ended with {how}: {last}; its log: {self._log}"), text[-65536:])

    def _end(self) -> None:
        """End the program and all that it has started, also what outlives it in a session of its own."""
        self._signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(GRACE_SECONDS)
        self._signal(signal.SIGKILL)
        kill_marked(self._log.stem)
        self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(OSError):
            os.killpg(self._process.pid, number)
