"""Folders of texts."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from pipeline.data.features import TextSamples
from pipeline.data.readers import folders
from pipeline.data.readers.folders import LabelledFile, UnreadableFiles
from pipeline.data.readers.loaded import LabelledSamples, LoadedData
from pipeline.data.readers.scratch import ScratchSpace
from pipeline.data.samples import TextWriter
from pipeline.settings.data import TextFolder

SUFFIXES = (".txt",)


def fingerprint(data: TextFolder, _data_dir: Path) -> str:
    """Return the SHA-256 (hex) over names and contents of all files."""
    return folders.fingerprint(data.path, SUFFIXES)


def load(data: TextFolder, _data_dir: Path, scratch: ScratchSpace) -> LoadedData:
    """Read one text from each file.

    Raises:
        BadData: as `folders.load_folders`.
    """
    read = partial(_read_split, data=data, scratch=scratch)
    loaded = folders.load_folders(data.path, SUFFIXES, data.on_error, read)
    return replace(loaded, kind=TextSamples())


def _read_split(
    files: Sequence[LabelledFile], unreadable: UnreadableFiles, data: TextFolder, scratch: ScratchSpace
) -> LabelledSamples:
    def decode(path: Path) -> str:
        return path.read_bytes().decode(data.encoding).strip()

    size = sum(file.path.stat().st_size for file in files)
    writer, labels = TextWriter(scratch.make_path_if_large(size)), []
    for text, label in folders.decode_files(files, decode, unreadable, "set data.encoding=..."):
        writer.add(text)
        labels.append(label)
    return LabelledSamples(writer.finish(), np.array(labels))
