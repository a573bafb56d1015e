"""New sounds at the rate of training; a long one is cut into excerpts, and answered as one file."""

from functools import partial
from pathlib import Path

import numpy as np

from pipeline.data.features import LogMel
from pipeline.data.readers import sounds
from pipeline.data.readers.scratch import ScratchSpace
from pipeline.data.readers.sounds import SUFFIXES
from pipeline.data.report import Findings
from pipeline.models.serving.decoding import cut_sound
from pipeline.models.serving.description import ModelDescription
from pipeline.models.serving.inputs import NewData, refuse_model
from pipeline.models.serving.inputs.files import find_files, open_files
from pipeline.settings.data import AudioFolder


def open_new_data(
    data: AudioFolder, description: ModelDescription, scratch: ScratchSpace, findings: Findings
) -> NewData:
    """Open sounds.

    Raises:
        DataMissing, BadData: as `find_files`.
        BadModel: the model answers to no sounds.
    """
    if not isinstance(description.front, LogMel):
        refuse_model(data, "something else")
    files = find_files(data.path, SUFFIXES, description.classes, scratch, findings)
    decode = partial(_decode, front=description.front, findings=findings)
    return open_files(files, decode, findings, has_excerpts=True)


def _decode(path: Path, front: LogMel, findings: Findings) -> list[np.ndarray]:
    wave, rate = sounds.decode_sound(path, lambda note: findings.add("sound", note, path.name))
    if rate != front.rate:
        lost = f", which had nothing above {rate // 2} Hz" if rate < front.rate else ""
        findings.add("sound", f"brought from {rate} to {front.rate} Hz{lost}", path.name)
    return cut_sound(sounds.resample(wave, rate, front.rate), front.samples)
