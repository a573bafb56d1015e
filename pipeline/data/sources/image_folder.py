"""Folders of images, read by Pillow as a person sees them."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from pipeline.data.readers import folders, images
from pipeline.data.readers.file_tree import FileTree, LabelledFile
from pipeline.data.readers.images import SUFFIXES, ImageForm
from pipeline.data.readers.loaded import LoadedData
from pipeline.data.readers.scratch import ScratchSpace
from pipeline.data.report import Findings
from pipeline.errors import BadData
from pipeline.settings.data import Colours, ImageFolder

FORMAT = folders.FORMAT + 3  # the bits of a sample are known since


def fingerprint(data: ImageFolder, _data_dir: Path) -> str:
    """Return the SHA-256 (hex) over names and contents of all images."""
    return folders.fingerprint(data.path, SUFFIXES, data.is_regression)


def load(data: ImageFolder, _data_dir: Path, scratch: ScratchSpace) -> LoadedData:
    """Read images [n, height, width] where grey, [n, height, width, 3] in colour.

    They are bytes, or where one of them has 16 bits a sample float32 in that range, all of them; where one
    has 32, all must have.

    Raises:
        BadData: as `folders.find_files` and `folders.load_splits`; or images have several sizes and
            `data.size` is null; or all of them are blank on the background.
    """
    findings = Findings()
    tree = folders.find_files(data.path, SUFFIXES, findings, scratch, data.is_regression)
    return load_tree(data, tree, scratch, findings)


def load_tree(data: ImageFolder, tree: FileTree, scratch: ScratchSpace, findings: Findings) -> LoadedData:
    """Read the images of these files; `data.path` is not looked at.

    Raises:
        BadData: as `load`.
    """
    bits = max((images.count_bits(file.path) for files in tree.splits.values() for file in files), default=8)
    decode = ImageDecoder(data, bits, findings)
    read = partial(folders.read_arrays, decode=decode, scratch=scratch)
    loaded = folders.load_splits(tree, data.on_error, read, findings, data.is_regression)
    decode.check_blank()
    return replace(loaded, bits=bits)


class ImageDecoder:
    """A function from a file to its image as the only row, [height, width] or [height, width, 3].

    `bits`: of a sample of the finest image. Without `data.size` all images must have the size of the first.
    """

    def __init__(self, data: ImageFolder, bits: int, findings: Findings) -> None:
        size = None if data.size is None else (data.size[0], data.size[1])
        self._form = ImageForm(
            data.colours is Colours.rgb, size, data.background, wide=bits > 8, deep=bits > 16
        )
        self._findings = findings
        self._first: tuple[str, tuple[int, ...]] | None = None
        self._rows = 0

    def __call__(self, file: LabelledFile) -> list[np.ndarray]:
        array = images.decode_image(
            file.path, self._form, lambda text: self._findings.add("image", text, file.name)
        )
        self._check_size(file, array)
        self._rows += 1
        return [array]

    def _check_size(self, file: LabelledFile, array: np.ndarray) -> None:
        if self._first is None:
            self._first = (file.name, array.shape)
        first, shape = self._first
        if array.shape != shape:
            raise BadData(
                f"images must all have one size, got {array.shape[1]}x{array.shape[0]} in {file.name} and "
                f"{shape[1]}x{shape[0]} in {first}; bring them to one size with data.size=[height,width]"
            )

    def check_blank(self) -> None:
        """Raise BadData where nothing can be seen on any of the images."""
        flat = images.describe_flat(self._form.background)
        for finding in self._findings.to_tuple():
            if finding.text == flat and finding.count == self._rows:
                raise BadData(f"images must show something, got all {self._rows} {flat}")
