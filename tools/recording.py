"""Film the README's commands as people see them: `python -m tools.recording` writes docs/terminal.svg anew.

They run in a fresh clone of what is committed, which has this environment as its `.venv`, each in a terminal
of its own. A small emulator draws what they print; it knows what rich writes: colours, the cursor up and down
a line, erased lines. Each command has few pictures, so the film is not how long it takes. Nothing moves where
the reader's system asks for that: the last picture stands then.
"""

import argparse
import codecs
import fcntl
import os
import pty
import re
import select
import shlex
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
PICTURE = CHECKOUT / "docs" / "terminal.svg"
COLUMNS, ROWS = 120, 30
TOKEN = re.compile(
    r"\x1b\[([?\d;]*)([A-Za-z])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|([\r\n\b])|([^\x1b\r\n\b]+)|\x1b.?"
)
COLOURS = {31: "red", 32: "green", 33: "yellow", 34: "blue", 35: "magenta", 36: "cyan"}
PICTURES = 32
"""Most pictures of one command."""
FIRST, NEXT, LAST = 1.2, 0.3, 5.0
"""Seconds that the command alone is shown, a picture of its work, and its end."""
FLICKER, QUIET = 0.03, 4.0
"""Seconds: what is seen for a shorter time is half drawn; a server that is silent for longer is up."""
SERVES = "Ctrl-C ends it"
LETTER, LINE, EDGE = 7.8, 18, 16
"""Width of a letter, height of a line, and the margin, in pixels."""

Style = tuple[str, bool, bool]
"""Colour (empty: that of the text), bold, dim."""
PLAIN: Style = ("", False, False)
Cell = tuple[str, Style]
Lines = tuple[tuple[Cell, ...], ...]


@dataclass
class Terminal:
    """A screen that scrolls: lines of cells, a cursor, the style of what is written next."""

    columns: int = COLUMNS
    rows: int = ROWS
    lines: list[list[Cell]] = field(default_factory=lambda: [[]])
    row: int = 0
    column: int = 0
    style: Style = PLAIN

    def write(self, text: str) -> None:
        """Draw what a program has written."""
        for match in TOKEN.finditer(text):
            parameters, command, control, plain = match.groups()
            if command:
                self._obey(parameters, command)
            elif control == "\n":
                self._go_down()
            elif control == "\r":
                self.column = 0
            elif control == "\b":
                self.column = max(0, self.column - 1)
            elif plain:
                self._put(plain)

    def look(self) -> Lines:
        """Return the lines that are seen."""
        return tuple(map(tuple, self.lines[-self.rows :]))

    def _put(self, text: str) -> None:
        for letter in text:
            if self.column == self.columns:
                self.column = 0
                self._go_down()
            line = self.lines[self.row]
            line += [(" ", PLAIN)] * (self.column + 1 - len(line))
            line[self.column] = letter, self.style
            self.column += 1

    def _go_down(self) -> None:
        self.row += 1
        if self.row == len(self.lines):
            self.lines.append([])

    def _obey(self, parameters: str, command: str) -> None:
        numbers = [int(part) for part in parameters.split(";") if part.isdecimal()]
        count = numbers[0] if numbers else 1
        if command == "A":
            self.row = max(0, self.row - count)
        elif command == "B":
            self.row = min(len(self.lines) - 1, self.row + count)
        elif command == "G":
            self.column = count - 1
        elif command == "K":
            line = self.lines[self.row]
            del line[0 if numbers == [2] else self.column :]
        elif command == "J":
            del self.lines[self.row + 1 :]
        elif command == "m":
            for number in numbers or [0]:
                self._restyle(number)

    def _restyle(self, number: int) -> None:
        colour, bold, dim = self.style
        if number == 0:
            self.style = PLAIN
        elif number in (1, 2, 22):
            self.style = (colour, number == 1, number == 2)
        elif number in COLOURS or number - 60 in COLOURS:
            self.style = (COLOURS[number if number in COLOURS else number - 60], bold, dim)
        elif number == 39:
            self.style = ("", bold, dim)


@dataclass(frozen=True, slots=True)
class Frame:
    """What is seen, and for how many seconds."""

    lines: Lines
    seconds: float


def record(commands: Sequence[str], folder: Path) -> list[Frame]:
    """Run the commands one after the other in a folder and return what is seen.

    Raises:
        SystemExit: a command fails.
    """
    terminal, frames = Terminal(), list[Frame]()
    for command in commands:
        terminal.style = ("green", True, False)
        terminal.write("$ ")
        terminal.style = PLAIN
        terminal.write(f"{command}\r\n")
        seen = [(time.monotonic(), terminal.look())]
        for text in _run(command, folder):
            terminal.write(text)
            seen.append((time.monotonic(), terminal.look()))
        frames += choose(seen)
        terminal.write("\r\n")
    return frames


def choose(seen: Sequence[tuple[float, Lines]]) -> list[Frame]:
    """Return at most `PICTURES` of the states of one command, its first and its last among them."""
    states = [seen[0][1]]
    for (begun, lines), (ended, _) in zip(seen[1:], [*seen[2:], (float("inf"), ())], strict=False):
        if ended - begun >= FLICKER and lines != states[-1]:
            states.append(lines)
    step = max(1.0, (len(states) - 1) / (PICTURES - 1))
    numbers = sorted({round(index * step) for index in range(PICTURES)} & set(range(len(states))))
    *before, last = [states[number] for number in numbers]
    return [
        *(Frame(lines, NEXT if index else FIRST) for index, lines in enumerate(before)),
        Frame(last, LAST),
    ]


def _run(command: str, folder: Path) -> Iterator[str]:
    """Yield what a command prints into a terminal of its own; a server is ended when it is up."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    own = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "FULCRUM_"))}
    environment = {**own, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": str(ROWS)}
    process = subprocess.Popen(
        shlex.split(command),
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    decoder, serves = codecs.getincrementaldecoder("utf-8")("replace"), False
    while not serves or select.select([ours], [], [], QUIET)[0]:
        try:
            data = os.read(ours, 65536)
        except OSError:  # the other end is closed
            data = b""
        if not data:
            break
        text = decoder.decode(data)
        serves = serves or SERVES in text
        yield text
    if serves and process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
    os.close(ours)
    if process.wait() and not serves:
        raise SystemExit(f"exit code {process.returncode}: {command}")


def prepare(folder: Path) -> None:
    """Clone what is committed into a folder and give it the packages of this environment."""
    subprocess.run(["git", "clone", "--quiet", "--shared", CHECKOUT, folder], check=True)
    (folder / ".venv").mkdir()
    for part in Path(sys.prefix).iterdir():
        (folder / ".venv" / part.name).symlink_to(part)
    for name in (".installed", ".installed-dev"):
        (folder / ".venv" / name).unlink(missing_ok=True)
        (folder / ".venv" / name).touch()


# ---- drawing --------------------------------------------------------------------------------------------


DARK = {
    "back": "#0d1117",
    "text": "#e6edf3",
    "dim": "#9aa4ae",
    "red": "#ff7b72",
    "green": "#7ee787",
    "yellow": "#f2cc60",
    "blue": "#79c0ff",
    "magenta": "#d2a8ff",
    "cyan": "#76e3ea",
}
LIGHT = {
    "back": "#f6f8fa",
    "text": "#1f2328",
    "dim": "#59636e",
    "red": "#cf222e",
    "green": "#116329",
    "yellow": "#7d4e00",
    "blue": "#0550ae",
    "magenta": "#6639ba",
    "cyan": "#0f5a63",
}
"""Each has a contrast of at least 4.5 with its background (WCAG 2.1, AA)."""
STYLE = (
    "text{font:13px ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;white-space:pre}"
    ".bold{font-weight:700}.f{visibility:hidden}"
)


def draw(frames: Sequence[Frame], title: str) -> str:
    """Return the frames as an SVG that shows one after the other, for ever."""
    width, height = round(2 * EDGE + LETTER * COLUMNS), 2 * EDGE + LINE * ROWS
    last = len(frames) - 1
    end = f".f{{animation:none!important}}#f{last}{{visibility:visible}}"
    still = f"@media(prefers-reduced-motion:reduce){{{end}}}"
    light = f"@media(prefers-color-scheme:light){{{_colour(LIGHT)}}}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" aria-labelledby="title"><title id="title">{escape(title)}</title>'
        f"<style>{STYLE}{_colour(DARK)}{light}{''.join(_time(frames))}{still}</style>"
        f'<rect class="back" x=".5" y=".5" width="{width - 1}" height="{height - 1}" rx="8" '
        'stroke="#808890"/>\n' + "\n".join(_group(frames)) + "\n</svg>\n"
    )


def _colour(colours: dict[str, str]) -> str:
    rules = (f".{name}{{fill:{colour}}}" for name, colour in colours.items() if name != "text")
    return f"text{{fill:{colours['text']}}}{''.join(rules)}"


def _time(frames: Sequence[Frame]) -> Iterator[str]:
    """Yield the rule of each frame: it is seen from its beginning to its end."""
    whole, begun = sum(frame.seconds for frame in frames), 0.0
    for number, frame in enumerate(frames):
        start, end = 100 * begun / whole, 100 * (begun + frame.seconds) / whole
        begun += frame.seconds
        steps = f"{start:.2f}%{{visibility:visible}}"
        if number:
            steps = f"0%{{visibility:hidden}}{steps}"
        if number < len(frames) - 1:
            steps += f"{end:.2f}%{{visibility:hidden}}"
        rule = f"#f{number}{{animation:f{number} {whole:.1f}s step-end infinite}}"
        yield f"@keyframes f{number}{{{steps}}}{rule}"


def _group(frames: Sequence[Frame]) -> Iterator[str]:
    """Yield the group of each frame; a line that was drawn before is used again, wherever it stands."""
    names: dict[str, str] = {}
    for number, frame in enumerate(frames):
        parts = []
        for row, line in enumerate(frame.lines):
            text = "".join(_draw_run(*run) for run in _join(line))
            if not text:
                continue
            y = EDGE + LINE * row + 13
            name = names.get(text)
            if name is None:
                name = names[text] = f"l{len(names)}"
                parts.append(f'<g transform="translate(0 {y})"><text id="{name}">{text}</text></g>')
            else:
                parts.append(f'<use href="#{name}" y="{y}"/>')
        yield f'<g id="f{number}" class="f">{"".join(parts)}</g>'


def _join(line: Sequence[Cell]) -> Iterator[tuple[int, str, Style]]:
    """Yield the parts of a line that have one style, with their first column; blanks are left out."""
    start, text, style = 0, "", PLAIN
    for column, (letter, own) in enumerate(line):
        if own != style and text.strip():
            yield start, text.rstrip(), style
        if own != style or not text.strip():
            start, text, style = column, "", own
        text += letter
    if text.strip():
        yield start, text.rstrip(), style


def _draw_run(column: int, text: str, style: Style) -> str:
    colour, bold, dim = style
    names = " ".join(filter(None, (colour or ("dim" if dim else ""), "bold" if bold else "")))
    x, width = EDGE + LETTER * column, LETTER * len(text)
    kind = f' class="{names}"' if names else ""
    return f'<tspan x="{x:.1f}" textLength="{width:.1f}"{kind}>{escape(text)}</tspan>'


def read_commands() -> list[str]:
    """Return the commands of the README's first block."""
    return (CHECKOUT / "README.md").read_text().split("```bash\n")[1].split("```")[0].splitlines()


def main(words: Sequence[str]) -> int:
    """Record, and write the picture."""
    parser = argparse.ArgumentParser("python -m tools.recording", description=__doc__)
    parser.add_argument("commands", nargs="*", help="instead of those of the README")
    parser.add_argument("--file", type=Path, default=PICTURE)
    told = parser.parse_args(words)
    commands = told.commands or read_commands()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "fulcrum"
        prepare(folder)
        frames = record(commands, folder)
    told.file.write_text(draw(frames, "A terminal: " + ", then ".join(commands)))
    print(f"{told.file}: {len(frames)} pictures, {told.file.stat().st_size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
