"""Every file below a folder, in the order of names, and what it is called; what is left out is counted."""

import os
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.data.report import Findings
from pipeline.errors import BadData, format_one_line

SYSTEM_NAMES = frozenset(
    {"__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "$recycle.bin", "@eadir", "__pycache__"}
    | {"system volume information", "lost+found"}
)


@dataclass(frozen=True, slots=True)
class UnlabelledFile:
    """A file, its name below the folder that the user named, and the names of the folders on the way."""

    path: Path
    name: str
    folders: tuple[str, ...]


def walk_files(root: Path, suffixes: Sequence[str], findings: Findings) -> Iterator[UnlabelledFile]:
    """Yield the files below `root` that end in one of `suffixes`, wherever they lie, in order."""
    for path in walk_folder(root, findings):
        inside = path.relative_to(root)
        if path.suffix.lower() in suffixes:
            folders = tuple(map(decode_name, inside.parts[:-1]))
            yield UnlabelledFile(path, format_one_line(decode_name(str(inside))), folders)
        else:
            kind = format_one_line(path.suffix.lower() or "a name without a suffix")
            findings.add("file", f"left out: {kind} is not read here", name_file(path, root))


def name_file(path: Path, root: Path) -> str:
    """Return the name of a file for a person: below what the user named."""
    inside = path.is_relative_to(root.parent)
    return format_one_line(decode_name(str(path.relative_to(root.parent) if inside else path)))


def decode_name(name: str) -> str:
    """Return a name in composed form (NFC); bytes that are no UTF-8 become escapes."""
    valid = os.fsencode(name).decode("utf-8", "backslashreplace")
    return unicodedata.normalize("NFC", valid)


def _is_system(name: str) -> bool:
    return name.startswith(".") or name.lower() in SYSTEM_NAMES


def walk_folder(folder: Path, findings: Findings, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """Yield the files below a folder in order; links are followed, but not back to a folder `above`."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise BadData(
            f"every folder must be readable, got {folder} ({error.strerror}); mend its permissions or move it"
        ) from None
    real = folder.resolve()
    for entry in entries:
        path = Path(entry.path)
        if _is_system(entry.name):
            hidden = sum(len(files) for _, _, files in os.walk(path)) if entry.is_dir() else 1
            text = "left out: hidden, or made by a system (names as ._x, __MACOSX, Thumbs.db)"
            findings.add("file", text, f"{folder.name}/{entry.name}", hidden)
        elif entry.is_dir():
            if path.resolve() in (*above, real):
                findings.add("link", "left out: leads back to a folder above", f"{folder.name}/{entry.name}")
            else:
                yield from walk_folder(path, findings, (*above, real))
        elif entry.is_file() or not path.exists():  # a broken link is a file that cannot be read
            yield path
        else:
            findings.add("file", "left out: a device, pipe or socket", f"{folder.name}/{entry.name}")


def list_folders(path: Path) -> list[Path]:
    """Return the folders in a folder that are no system's own, in order."""
    return sorted(entry for entry in path.iterdir() if entry.is_dir() and not _is_system(entry.name))
