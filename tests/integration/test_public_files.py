"""Images and sounds that were made by others: all that the packages, Python and the desktop here come with.

They are read as the reference reader of each form reads them: images by Pillow within one level a pixel,
sounds by SciPy and Python's own modules sample by sample.
"""

import sysconfig
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps
from scipy.io import wavfile  # type: ignore[import-untyped]

from pipeline.data.readers import images, sounds
from pipeline.data.readers.folders import Unreadable
from pipeline.data.readers.images import ImageForm

PLACES = {
    "packages": Path(sysconfig.get_path("purelib")),
    "Python": Path(sysconfig.get_path("stdlib")),
    "icons of the desktop": Path("/usr/share/icons"),
    "documents of the system": Path("/usr/share/doc"),
}
MOST = 450
"""Files that are read, spread over all that there are."""
FORM = ImageForm(True, None, "white")


def find_files(suffixes: tuple[str, ...], most: int) -> list[Path]:
    """Return the files with these suffixes: of packages and Python all, of others some, up to `most`."""
    by_place: dict[str, list[Path]] = {}
    for name, place in PLACES.items():
        found = {path.resolve() for path in place.rglob("*") if path.suffix.lower() in suffixes}
        by_place[name] = sorted(path for path in found if path.is_file())
    first = list(dict.fromkeys(by_place["packages"] + by_place["Python"]))
    others = [path for name in list(PLACES)[2:] for path in by_place[name]]
    room = max(0, most - len(first))
    step = max(1, len(others) // room) if room else len(others) + 1
    print({name: len(paths) or "absent" for name, paths in by_place.items()})
    return first + others[::step][:room]


@pytest.mark.slow
def test_images_of_others_are_read_as_pillow_does() -> None:
    paths = find_files(images.SUFFIXES, MOST)
    if not paths:
        pytest.skip("no images here but ours")
    differ, compared = [], Counter[str]()
    for path in paths:
        try:
            expected = read_by_pillow(path)
        except Exception:  # what Pillow cannot read, as the files of Python's tests of damaged ones
            with suppress(Unreadable):
                images.decode_image(path, FORM, lambda _: None)
            continue
        wide = images.count_bits(path) > 8
        array = images.decode_image(path, ImageForm(True, None, "white", wide), lambda _: None)
        away = np.abs(array / (images.WIDE if wide else 1) - expected).max()
        compared[path.suffix.lower()] += 1
        if away > 1:
            differ.append(f"{path} ({away:.1f})")
    print(f"{compared.total()} images: {dict(compared)}")
    assert differ == []


def read_by_pillow(path: Path) -> np.ndarray:
    with warnings.catch_warnings(), Image.open(path) as image:
        warnings.simplefilter("ignore")
        seen = ImageOps.exif_transpose(image).convert("RGBA")
    white = Image.new("RGBA", seen.size, "white")
    return np.asarray(Image.alpha_composite(white, seen).convert("RGB"), float)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_sounds_of_others_are_read_as_their_reference_readers_do() -> None:
    compared = Counter[str]()
    for path, rate, expected in read_references(find_files(sounds.SUFFIXES, MOST)):
        if "early-eof" in path.name:  # SciPy reads what is there
            with pytest.raises(Unreadable, match="cut short"):
                sounds.decode_sound(path)
            continue
        wave, its_rate = sounds.decode_sound(path)
        assert its_rate == rate, path
        np.testing.assert_allclose(wave, expected, atol=1e-6, err_msg=str(path))
        compared[path.suffix.lower()] += 1
    print(f"{compared.total()} sounds: {dict(compared)}")


def read_references(paths: list[Path]) -> Iterator[tuple[Path, int, np.ndarray]]:
    """Yield the files that a reference reader knows: rate, and mean of the channels float64 [n] in -1..1."""
    for path in paths:
        try:
            rate, samples = REFERENCES[path.suffix.lower()](path)
        except Exception:  # of many kinds: what these cannot read is not compared
            continue
        yield path, rate, samples.reshape(len(samples), -1).mean(axis=1)


def read_by_scipy(path: Path) -> tuple[int, np.ndarray]:
    rate, samples = wavfile.read(path)
    if samples.dtype.kind == "f":
        return rate, samples.astype(float)
    if samples.dtype == np.uint8:
        return rate, (samples.astype(float) - 128) / 2**7
    return rate, samples / -float(np.iinfo(samples.dtype).min)


def read_by_python(module: str) -> Callable[[Path], tuple[int, np.ndarray]]:
    """Return a reader of big-endian files by a module of Python, which later ones do not have."""

    def read(path: Path) -> tuple[int, np.ndarray]:
        opened: Any = import_module(module).open(str(path), "rb")
        with opened as file:
            width, channels = file.getsampwidth(), file.getnchannels()
            content = np.frombuffer(file.readframes(file.getnframes()), np.uint8)
            order = ">" if file.getcomptype().lower() in (b"none", "none") else "="  # decoded: the machine's
            rate = file.getframerate()
        padded = np.zeros((len(content) // width, 4), np.uint8)
        padded[:, :width] = content.reshape(-1, width)[:, :: 1 if order == ">" else -1]
        return rate, (padded.view(">i4")[:, 0] / 2.0**31).reshape(-1, channels)

    return read


REFERENCES: dict[str, Callable[[Path], tuple[int, np.ndarray]]] = {
    ".wav": read_by_scipy,
    ".au": read_by_python("sunau"),
    ".aiff": read_by_python("aifc"),
    ".aifc": read_by_python("aifc"),
}
