"""A recording of a terminal shows what a person sees: what rich draws over itself once, in few pictures."""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT
from tools import recording
from tools.recording import PLAIN, Frame, Terminal

BOLD_GREEN = ("green", True, False)


def read(terminal: Terminal) -> list[str]:
    return ["".join(letter for letter, _ in line).rstrip() for line in terminal.look()]


def test_the_screen_after_what_rich_writes() -> None:
    terminal = Terminal(columns=12, rows=4)
    terminal.write("study a\r\n1 trial\r\n\x1b[1A\x1b[2K2 trials\r\n")
    assert read(terminal) == ["study a", "2 trials", ""]
    terminal.write("a line of more than twelve")
    assert read(terminal) == ["2 trials", "a line of mo", "re than twel", "ve"]
    terminal.write("\r\n\x1b[1;32mok\x1b[0m \x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\")
    assert read(terminal)[-1] == "ok link"
    assert terminal.look()[-1][0] == ("o", BOLD_GREEN)
    assert terminal.look()[-1][3] == ("l", PLAIN)


def test_a_command_is_shown_by_few_pictures_from_its_first_to_its_last() -> None:
    states = [((str(number), PLAIN),) for number in range(100)]
    seen = [(0.1 * number, (state,)) for number, state in enumerate(states)]
    seen.insert(51, (seen[51][0] - recording.FLICKER / 2, (states[7],)))  # half drawn: not shown
    frames = recording.choose(seen)
    assert len(frames) == recording.PICTURES
    assert [frame.lines for frame in (frames[0], frames[-1])] == [(states[0],), (states[-1],)]
    assert sorted(frames, key=lambda frame: int(frame.lines[0][0][0])) == frames
    assert [frame.seconds for frame in frames] == [1.2, *[0.3] * (len(frames) - 2), 5.0]
    assert recording.choose(seen[:1]) == [Frame((states[0],), recording.LAST)]


def test_a_command_runs_in_a_terminal_and_one_that_fails_ends_the_film(tmp_path: Path) -> None:
    frames = recording.record(["test -t 1", "stty -F /dev/stdout size"], tmp_path)
    assert "".join(letter for letter, _ in frames[-1].lines[-2]) == f"{recording.ROWS} {recording.COLUMNS}"
    with pytest.raises(SystemExit, match="exit code 1: false"):
        recording.record(["false"], tmp_path)


def test_the_picture_is_a_file_that_shows_every_frame_in_turn_at_a_size_of_its_own() -> None:
    lines = (tuple((letter, BOLD_GREEN) for letter in "  <ok> & on"),)
    picture = recording.draw([Frame(lines, 1.0), Frame((*lines, ()), 3.0)], "what is seen")
    tree = ElementTree.fromstring(picture)
    groups = tree.findall("{*}g")
    assert len(groups) == 2
    assert list_texts(tree) == ["<ok> & on"]  # drawn once
    (again,) = groups[1]
    assert again.attrib["href"] == "#l0"
    assert tree.attrib["height"] == str(2 * recording.EDGE + recording.ROWS * recording.LINE)
    assert "prefers-reduced-motion" in picture
    assert "prefers-color-scheme:light" in picture
    assert tree.findtext("{*}title") == "what is seen"


def list_texts(tree: ElementTree.Element) -> list[str]:
    return ["".join(text.itertext()) for text in tree.iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize("colours", [recording.DARK, recording.LIGHT], ids=["dark", "light"])
def test_each_colour_can_be_read(colours: dict[str, str]) -> None:
    back = luminance(colours["back"])
    for name in set(colours) - {"back"}:
        low, high = sorted((back, luminance(colours[name])))
        assert (high + 0.05) / (low + 0.05) >= 4.5, name


def luminance(colour: str) -> float:
    """The relative luminance of WCAG 2.1."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_the_film_of_the_readme_is_small_and_shows_its_commands() -> None:
    picture = recording.PICTURE.read_text()
    assert len(picture.encode()) < 300_000
    texts = list_texts(ElementTree.fromstring(picture))
    for command in recording.read_commands():
        assert f"${command}" in texts
    assert not re.search(r"/(?:home|root|work|Users)/", picture)
    for name in ("README.md", "README.zh.md"):
        assert re.search(r'<img src="docs/terminal\.svg" [^>]*alt="[^"]{10,}"', (CHECKOUT / name).read_text())
