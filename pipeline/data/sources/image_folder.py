"""Folders of images, read by Keras' own loader."""

from functools import partial
from pathlib import Path

import numpy as np

from pipeline.backend import keras
from pipeline.data.readers import folders
from pipeline.data.readers.folders import Unreadable
from pipeline.data.readers.loaded import LoadedData
from pipeline.data.readers.scratch import ScratchSpace
from pipeline.errors import BadData
from pipeline.settings.data import Colours, ImageFolder

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif")


def fingerprint(data: ImageFolder, _data_dir: Path) -> str:
    """Return the SHA-256 (hex) over names and contents of all images."""
    return folders.fingerprint(data.path, SUFFIXES)


def load(data: ImageFolder, _data_dir: Path, scratch: ScratchSpace) -> LoadedData:
    """Read images as bytes [n, height, width] where grey, [n, height, width, 3] in colour.

    Raises:
        BadData: as `folders.load_folders`; or images have several sizes and `data.size` is null.
    """
    read = partial(folders.read_arrays, decode=ImageDecoder(data), scratch=scratch)
    return folders.load_folders(data.path, SUFFIXES, data.on_error, read)


class ImageDecoder:
    """A function from the path of an image to its bytes, uint8 [height, width] or [height, width, 3].

    Without `data.size` all images must have the size of the first.
    """

    def __init__(self, data: ImageFolder) -> None:
        self._mode = "grayscale" if data.colours is Colours.grey else "rgb"
        self._size = None if data.size is None else (data.size[0], data.size[1])
        self._first: tuple[Path, tuple[int, ...]] | None = None

    def __call__(self, path: Path) -> np.ndarray:
        try:
            image = keras.utils.load_img(
                path, color_mode=self._mode, target_size=self._size, interpolation="bilinear"
            )
            array = np.asarray(image)
        except (OSError, ValueError, SyntaxError, EOFError) as error:  # Pillow's, for files that are no image
            raise Unreadable(str(error).replace(f" '{path}'", "") or "no image") from None
        if array.dtype != np.uint8:  # 16 bits a pixel
            array = (array.astype(np.float64) / 257).clip(0, 255).astype(np.uint8)
        self._check_size(path, array)
        return array

    def _check_size(self, path: Path, array: np.ndarray) -> None:
        if self._first is None:
            self._first = (path, array.shape)
        first, shape = self._first
        if array.shape != shape:
            raise BadData(
                f"images must all have one size, got {array.shape[1]}x{array.shape[0]} in {path} and "
                f"{shape[1]}x{shape[0]} in {first}; bring them to one size with data.size=[height,width]"
            )
