"""Folders of texts."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from pipeline.data.features import TextSamples
from pipeline.data.readers import encodings, folders
from pipeline.data.readers.file_tree import FileTree, LabelledFile
from pipeline.data.readers.folders import Unreadable, UnreadableFiles
from pipeline.data.readers.loaded import LabelledSamples, LoadedData
from pipeline.data.readers.scratch import ScratchSpace
from pipeline.data.report import Findings
from pipeline.data.samples import TextWriter, make_texts
from pipeline.settings.data import TextFolder

FORMAT = folders.FORMAT + 3  # texts with broken letters and PDF documents are refused since
SUFFIXES = (".txt", ".text", ".md")
OTHER_FORMS = {
    b"{\\rtf": "a text of Word (.rtf)",
    b"%PDF-": "a PDF document",
    b"%!PS": "a PostScript document",
}
"""What is no plain text although its bytes may be, by the first of them."""
WEB_PAGE = re.compile(r"\s*<(?:!doctype html|html|head|body)\b", re.IGNORECASE)


def fingerprint(data: TextFolder, _data_dir: Path) -> str:
    """Return the SHA-256 (hex) over names and contents of all files."""
    return folders.fingerprint(data.path, SUFFIXES, data.is_regression)


def load(data: TextFolder, _data_dir: Path, scratch: ScratchSpace) -> LoadedData:
    """Read one text from each file.

    Raises:
        BadData: as `folders.find_files` and `folders.load_splits`.
    """
    findings = Findings()
    tree = folders.find_files(data.path, SUFFIXES, findings, scratch, data.is_regression)
    detect = data.encoding == encodings.AUTO
    encoding, doubt = encodings.detect_with_doubt(_read_contents(tree)) if detect else (data.encoding, "")
    if doubt:
        findings.add("text", f"{encodings.DOUBTFUL} {doubt}; set data.encoding=...")
    read = partial(_read_split, encoding=encoding, detect=detect, scratch=scratch, findings=findings)
    return replace(
        folders.load_splits(tree, data.on_error, read, findings, data.is_regression), kind=TextSamples()
    )


def _read_contents(tree: FileTree) -> Iterator[bytes]:
    for files in tree.splits.values():
        for file in files:
            try:
                yield file.path.read_bytes()
            except OSError:  # reading names it
                continue


def _read_split(
    files: Sequence[LabelledFile],
    unreadable: UnreadableFiles,
    encoding: str,
    detect: bool,
    scratch: ScratchSpace,
    findings: Findings,
) -> LabelledSamples:
    def decode(file: LabelledFile) -> str:
        return read_text(file.path, encoding, detect, lambda text: findings.add("text", text, file.name))

    writer = TextWriter(scratch.make_path_if_large(_measure_size(files)))
    labels, names = [], []
    remedy = "name their encoding with data.encoding=..."
    for text, file in folders.decode_files(files, decode, unreadable, remedy):
        writer.add(text)
        labels.append(file.label)
        names.append(file.name)
    return LabelledSamples(writer.finish(), np.array(labels), places=make_texts(names))


def read_text(path: Path, encoding: str, detect: bool, note: Callable[[str], None]) -> str:
    """Read one text; `detect`: whether `encoding` is only the likeliest one. `note`: gets what was odd.

    Raises:
        Unreadable, UnicodeDecodeError: it is no plain text, or in another encoding.
    """
    content = path.read_bytes()
    for magic, form in OTHER_FORMS.items():
        if content.startswith(magic):
            raise Unreadable(f"{form}, save it as plain text")
    chosen = encodings.choose_encoding(content, encoding) if detect else encoding
    text, used = encodings.decode_text(content, chosen)
    if WEB_PAGE.match(text):
        note("with the tags of a web page, which are read as words")
    if used != "utf-8":
        note(f"read as {used}")
    return text.strip()


def _measure_size(files: Sequence[LabelledFile]) -> int:
    return sum(file.path.stat().st_size for file in files if file.path.exists())
