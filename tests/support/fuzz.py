"""Random command lines against everything that is checked before work begins.

    python -m tests.support.fuzz --lines 3000

A line is either accepted, which shows by its importing MLflow or TensorFlow, or refused: in one line, without
a traceback or a secret, by exit code 1 or 2. What is found otherwise is printed with the line that did it.
Seconds in which a line waited for a core are not counted: other programs are no fault of it.
"""

import argparse
import io
import os
import random
import shlex
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

from pipeline.hardware.counters import read_delays

COMMANDS = (
    "run",
    "run",
    "sweep",
    "sweep",
    "frontier",
    "diagnose",
    "evaluate",
    "train",
    "profile",
    "preprocess",
)
PASSWORD = "geheim7"
SLOW_SECONDS = 3.0
MAX_SHOWN = 10
VALUES = (
    *(
        "",
        "null",
        "true",
        "0",
        "1",
        "-1",
        "2",
        "0.5",
        "1e309",
        "nan",
        "inf",
        "-inf",
        "1e-400",
        "abc",
        "a b",
        "9" * 40,
    ),
    *(
        "'",
        '"',
        "{",
        "}",
        "[",
        "]",
        "(",
        ")",
        "[1,2]",
        "[[1]]",
        "[{a:1}]",
        "[1,",
        "{a:1}",
        "{a:",
        "'a",
        "\\",
        "\\'",
        ",",
        "a,",
        "=",
        "a=b",
    ),
    *(
        "${oc.env:HOME}",
        "${oc.env:NO_SUCH}",
        "${",
        "${x.y}",
        "${train.epochs}",
        "$x$",
        "%",
        "%20",
        "~",
        "@",
        "#",
        "?",
    ),
    *(
        "\n",
        "a\nb",
        "\t",
        "\r",
        "\x1b[31m",
        "\u2028",
        "é",
        "日本",
        "\udcff",
        "\x7f",
        "<b>x</b>",
        "..",
        ".",
        "a/b",
        "a:b",
    ),
    *(
        "1,2,3",
        "1,1",
        "interval(1,2)",
        "interval(2,1)",
        "interval(",
        "interval(nan,1)",
        "range(1,5)",
        "range(1,1e9)",
    ),
    *(
        "range(5,1)",
        "choice(1,2)",
        "tag(log,interval(1,10))",
        "tag(log,interval(0,1))",
        "tag(log",
        "int(interval(1,9))",
    ),
    *(
        "glob(*)",
        "sort(3,1)",
        "shuffle(1,2)",
        "???",
        "x" * 300,
        "ü" * 200,
        "a" * 9000,
        "digits (afterwards)",
        "None",
    ),
    *(
        f"postgresql://ann:{PASSWORD}/x@h/db",
        f"postgres://ann:{PASSWORD}@h/db",
        f"x://a@b:{PASSWORD}@h/?token={PASSWORD}",
    ),
    *(
        "sqlite:////no/such/folder/x.db",
        "sqlite://",
        "http://h:5000",
        "models:/x@y",
        "runs:/x",
        "/dev/null",
        "0x10",
    ),
)
FLAGS = (
    "--multirun",
    "-m",
    "--knee",
    "--json",
    "--study",
    "--at-least",
    "--within",
    "--",
    "-",
    "--x",
    "--cfg",
    "",
)


class WorkBegins(BaseException):
    """A line was accepted."""


class _Gate(MetaPathFinder):
    """What stands between a line that is accepted and its work."""

    def find_spec(self, fullname: str, *_: Any) -> None:
        if fullname in {"tensorflow", "keras", "mlflow"}:
            raise WorkBegins


@dataclass
class Counts:
    """What became of the lines."""

    ends: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    shown: list[str] = field(default_factory=list)

    def add(self, words: Sequence[str], end: str, error: str, seconds: float) -> None:
        """Count one line; `end`: accepted, or its exit code."""
        self.ends[end] += 1
        self.slowest = max(self.slowest, seconds)
        for fault in find_faults(end, error, seconds):
            self.faults[fault] += 1
            if len(self.shown) < MAX_SHOWN:
                line = shlex.join(ascii(word)[1:-1] for word in words)
                self.shown.append(f"{fault}: {line[:300]}\n    {error.strip()[-400:]!r}")


def find_faults(end: str, error: str, seconds: float) -> Iterator[str]:
    """Yield what is wrong with how a line ended."""
    if end not in {"accepted", "exit 0", "exit 1", "exit 2"}:
        yield "odd end"
    if "Traceback" in error:
        yield "traceback"
    elif end != "accepted" and (
        len(error.splitlines()) > 1 or (end in {"exit 1", "exit 2"} and not error.startswith("error: "))
    ):  # a sweep that is accepted says in a line each what it leaves out
        yield "not one line"
    if PASSWORD in error:
        yield "secret"
    if end != "accepted" and seconds > SLOW_SECONDS:
        yield f"above {SLOW_SECONDS:g} s"


def make_line(rng: random.Random, keys: Sequence[str], options: dict[str, list[str]]) -> list[str]:
    """Make a command line of some words: most are nearly right, some are nonsense."""
    words: list[str] = []
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 4))):
        words += _make_word(rng, keys, options)
    return [rng.choice(COMMANDS), *words]


def _make_word(rng: random.Random, keys: Sequence[str], options: dict[str, list[str]]) -> list[str]:
    if rng.random() < 0.2:
        group = rng.choice(sorted(options))
        return [f"{group}={rng.choice([*options[group], rng.choice(VALUES)])}"]
    key, value = rng.choice(keys), rng.choice(VALUES)
    if rng.random() < 0.15:
        at = rng.randrange(len(key))
        key = key[:at] + rng.choice(["", "x", ".", "/", "@", " ", "é", "\n"]) + key[at + 1 :]
    forms = [
        *([[f"{key}={value}"]] * 8),
        [f"--{key}", value],
        [f"--{key}={value}"],
        [f"+{key}={value}"],
        [f"++{key}={value}"],
        [f"~{key}"],
        [f"{key}@x={value}"],
        ["--overrides", f"{key}={value} train.epochs=2"],
        [f"overrides={key}={value}"],
        [key],
        [value],
        [rng.choice(FLAGS)],
        [rng.choice(FLAGS), value],
    ]
    return list(rng.choice(forms))


def try_line(words: Sequence[str], counts: Counts) -> None:
    """Run one line up to where its work would begin."""
    from pipeline.cli import main

    out, err, started = io.StringIO(), io.StringIO(), read_own_seconds()
    try:
        with redirect_stdout(out), redirect_stderr(err):
            end = f"exit {main(words)}"
    except WorkBegins:
        end = "accepted"
    except BaseException as error:
        end = f"raised {type(error).__name__}"
    counts.add(words, end, err.getvalue(), read_own_seconds() - started)


def read_own_seconds() -> float:
    """Read a clock that stands still while this process is ready to run and others have the cores."""
    return time.perf_counter() - sum(read_delays(Path("/proc")).values())


def fuzz(lines: int, seed: int) -> Counts:
    """Try random lines and return what became of them; the same seed gives the same lines."""
    from pipeline.cli import schema
    from pipeline.settings.addresses import CONF

    options = {
        folder.name: sorted(path.stem for path in folder.glob("*.yaml"))
        for folder in sorted(CONF.iterdir())
        if folder.is_dir()
    }
    keys, rng, counts = sorted(schema.list_rules()), random.Random(seed), Counts()
    for _ in range(lines):
        try_line(make_line(rng, keys, options), counts)
    return counts


def run() -> int:
    """Read the command line, try the lines, and print the counts; 1 where a fault was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db", "FULCRUM_CACHE": folder}
        sys.meta_path.insert(0, _Gate())
        counts = fuzz(asked.lines, asked.seed)
    print(f"{asked.lines} lines: " + ", ".join(f"{n} {end}" for end, n in sorted(counts.ends.items())))
    print(f"faults: {dict(counts.faults) or 'none'}; the slowest took {counts.slowest:.2f} s")
    print("\n".join(counts.shown))
    return 1 if counts.faults else 0


if __name__ == "__main__":
    sys.exit(run())
