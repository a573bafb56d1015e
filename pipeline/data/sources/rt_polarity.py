"""Sentences of film reviews (Pang and Lee 2005), positive and negative."""

from pathlib import Path

import numpy as np

from pipeline.data.features import TextSamples
from pipeline.data.readers.downloads import RemoteFile, fetch_file
from pipeline.data.readers.loaded import LabelledSamples, LoadedData, hash_files
from pipeline.data.readers.scratch import ScratchSpace
from pipeline.data.samples import make_texts
from pipeline.settings.data import RtPolarity

MIRRORS = (
    "https://raw.githubusercontent.com/yoonkim/CNN_sentence/23e0e1f7355705bb083043fda05c031b15acb38c/",
)
FILES = {
    "negative": ("rt-polarity.neg", "4ace77d558c3714723843f1d65b60c01e3417b208180f0728808d76ad0eeeaca"),
    "positive": ("rt-polarity.pos", "2da124ec187a9d5a29c9f04e91c540e02baed5af8868f550a26bd6fd4dbf8bf0"),
}


def fingerprint(_data: RtPolarity, data_dir: Path) -> str:
    """Return one SHA-256 (hex) over both files; download them first where they are absent."""
    return hash_files(_fetch_files(data_dir))


def load(_data: RtPolarity, data_dir: Path, _scratch: ScratchSpace) -> LoadedData:
    """Read the sentences: one a line, Windows-1252."""
    lines: list[str] = []
    labels: list[int] = []
    places: list[str] = []
    for label, path in enumerate(_fetch_files(data_dir)):
        sentences = path.read_text("cp1252").splitlines()
        lines += [line.strip() for line in sentences]
        labels += [label] * len(sentences)
        places += [f"{path.name} line {line}" for line in range(1, len(sentences) + 1)]
    return LoadedData(
        train=LabelledSamples(make_texts(lines), np.array(labels), places=make_texts(places)),
        test=None,
        classes=tuple(FILES),
        kind=TextSamples(),
    )


def _fetch_files(data_dir: Path) -> list[Path]:
    files = (RemoteFile(name, sha256, MIRRORS, "rt-polarity") for name, sha256 in FILES.values())
    return [fetch_file(file, data_dir) for file in files]
