"""Texts: folders of them, and film reviews from rt-polarity."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.data.features import Words
from pipeline.data.samples import TextWriter, make_texts
from pipeline.data.sources import folders
from pipeline.data.sources.downloads import RemoteFile, fetched
from pipeline.data.sources.folders import Failures, File
from pipeline.data.sources.loaded import Loaded, Samples, digest
from pipeline.data.sources.scratch import Scratch
from pipeline.errors import BadData
from pipeline.settings.data_kinds import TextFolder

SUFFIXES = (".txt",)
MIRRORS = (
    "https://raw.githubusercontent.com/yoonkim/CNN_sentence/23e0e1f7355705bb083043fda05c031b15acb38c/",
)
RT_POLARITY = {
    "negative": ("rt-polarity.neg", "4ace77d558c3714723843f1d65b60c01e3417b208180f0728808d76ad0eeeaca"),
    "positive": ("rt-polarity.pos", "2da124ec187a9d5a29c9f04e91c540e02baed5af8868f550a26bd6fd4dbf8bf0"),
}


def rt_polarity_fingerprint(data_dir: Path) -> str:
    return digest(_rt_polarity(data_dir))


def rt_polarity_load(data_dir: Path) -> Loaded:
    """One sentence a line, Windows-1252."""
    lines: list[str] = []
    labels: list[int] = []
    for label, path in enumerate(_rt_polarity(data_dir)):
        found = path.read_text("cp1252").splitlines()
        lines += [line.strip() for line in found]
        labels += [label] * len(found)
    return Loaded(Samples(make_texts(lines), np.array(labels)), None, tuple(RT_POLARITY), Words())


def _rt_polarity(data_dir: Path) -> list[Path]:
    files = (RemoteFile(*told, MIRRORS, "rt-polarity") for told in RT_POLARITY.values())
    return [fetched(file, data_dir) for file in files]


def fingerprint(data: TextFolder) -> str:
    return folders.fingerprint(folders.find(data.path, SUFFIXES))


def load(data: TextFolder, scratch: Scratch) -> Loaded:
    """One text a file.

    Raises:
        BadData: see `folders`.
    """
    tree = folders.find(data.path, SUFFIXES)
    unreadable = Failures(data.on_error)
    train = _read(tree.train, data, unreadable, scratch)
    test = None if tree.test is None else _read(tree.test, data, unreadable, scratch)
    unreadable.check()
    return Loaded(train, test, tree.classes, Words(), tuple(unreadable.names))


def _read(files: Sequence[File], data: TextFolder, unreadable: Failures, scratch: Scratch) -> Samples:
    size = sum(file.path.stat().st_size for file in files)
    writer, labels = TextWriter(scratch.file_for(size)), []
    for file in files:
        try:
            writer.add(file.path.read_bytes().decode(data.encoding).strip())
        except (OSError, UnicodeDecodeError) as error:
            unreadable.add(file.path, error)
            continue
        labels.append(file.label)
    unreadable.check()
    if not labels:
        raise BadData(f"some files must be readable, got none of {len(files)}; set data.encoding=...")
    return Samples(writer.texts(), np.array(labels))
