"""New texts, a file each."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from pipeline.data.features import Counts, Tokens
from pipeline.data.readers import encodings
from pipeline.data.readers.scratch import ScratchSpace
from pipeline.data.report import Findings
from pipeline.data.sources.text_folder import SUFFIXES, read_text
from pipeline.models.serving.description import ModelDescription
from pipeline.models.serving.inputs import NewData, refuse_model
from pipeline.models.serving.inputs.files import NewFile, find_files, open_files
from pipeline.settings.data import TextFolder


def open_new_data(
    data: TextFolder, description: ModelDescription, scratch: ScratchSpace, findings: Findings
) -> NewData:
    """Open texts; what is no UTF-8 is in `data.encoding`, or in the one that suits all of them.

    Raises:
        DataMissing, BadData: as `find_files`.
        BadModel: the model answers to no texts.
    """
    if not isinstance(description.front, Counts | Tokens):
        refuse_model(data, "something else")
    files = find_files(data.path, SUFFIXES, description.classes, scratch, findings)
    detect = data.encoding == encodings.AUTO
    encoding = encodings.detect_encoding(_read_contents(files)) if detect else data.encoding
    decode = partial(_decode, encoding=encoding, detect=detect, findings=findings)
    return open_files(files, decode, findings)


def _read_contents(files: Sequence[NewFile]) -> Iterator[bytes]:
    for file in files:
        try:
            yield file.path.read_bytes()
        except OSError:  # reading names it
            continue


def _decode(path: Path, encoding: str, detect: bool, findings: Findings) -> list[np.ndarray]:
    text = read_text(path, encoding, detect, lambda note: findings.add("text", note, path.name))
    return [np.array(text, object)]
