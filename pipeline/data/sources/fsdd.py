"""The Free Spoken Digit Dataset (Jackson et al.): recordings of spoken digits, official test split."""

import io
import re
from pathlib import Path, PurePath

import numpy as np

from pipeline.data.features import SoundSamples
from pipeline.data.readers import archives, sounds
from pipeline.data.readers.downloads import RemoteFile, fetch_file
from pipeline.data.readers.loaded import LabelledSamples, LoadedData, hash_files
from pipeline.data.readers.scratch import ScratchSpace
from pipeline.data.samples import copy_texts, make_texts
from pipeline.errors import BadData
from pipeline.settings.data import Fsdd

ARCHIVE = RemoteFile(
    "fsdd-1.0.9.tar.gz",
    "8bc44cde129d505cbbb6b365c09f80c663f2aa77578afc634e6141a2f87100c0",
    ("https://github.com/Jakobovski/free-spoken-digit-dataset/archive/",),
    "fsdd",
    "v1.0.9.tar.gz",
)
RATE = 8000
OFFICIAL_TEST = range(5)
"""Numbers of the recordings that the data set's authors keep for the test."""


def fingerprint(_data: Fsdd, data_dir: Path) -> str:
    """Return the hash of the archive; download it first where it is absent."""
    return hash_files([fetch_file(ARCHIVE, data_dir)])


def load(data: Fsdd, data_dir: Path, _scratch: ScratchSpace) -> LoadedData:
    """Read digits 0 to 9 by five speakers, int16 [n, samples]; `data` says which recordings are the test.

    Raises:
        BadData: there is no such speaker.
    """
    waves, labels, tests, speakers, names = [], [], [], set(), []
    for name, content in archives.read_members(fetch_file(ARCHIVE, data_dir), ".wav"):
        digit, speaker, number = re.fullmatch(r".*?(\d)_(\w+)_(\d+)\.wav", name).groups()  # type: ignore[union-attr]
        waves.append(
            sounds.cut_or_pad(sounds.decode_sound(io.BytesIO(content))[0], round(data.seconds * RATE))
        )
        labels.append(int(digit))
        names.append(PurePath(name).name)
        speakers.add(speaker)
        official = int(number) in OFFICIAL_TEST
        tests.append(speaker == data.test_speaker if data.speaker_split else official)
    if data.speaker_split and data.test_speaker not in speakers:
        raise BadData(
            f"data.test_speaker must be one of {', '.join(sorted(speakers))}, got {data.test_speaker}"
        )
    all_waves, all_labels, is_test = np.stack(waves), np.array(labels), np.array(tests)
    places = make_texts(names)
    train, test = (
        LabelledSamples(all_waves[rows], all_labels[rows], places=copy_texts(places, np.flatnonzero(rows)))
        for rows in (~is_test, is_test)
    )
    return LoadedData(
        train=train, test=test, classes=tuple(str(digit) for digit in range(10)), kind=SoundSamples(RATE)
    )
