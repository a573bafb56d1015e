"""Images as a person sees them: turned, on a background, and with all the numbers that they have."""

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageColor, ImageOps, UnidentifiedImageError

from pipeline.data.readers.compression import MOST_RATIO, compute_bound
from pipeline.data.readers.folders import Unreadable

SUFFIXES = tuple(
    f".{name}"
    for name in "png jpg jpeg jpe jfif gif bmp dib webp tif tiff avif ppm pgm pbm pnm jp2".split()  # noqa: SIM905
)
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "DIB", "WEBP", "TIFF", "AVIF", "PPM", "JPEG2000")
"""What Pillow may take a file for, whatever its name: for others, such as EPS, it would start a program."""
ORIENTATION = 0x0112  # the EXIF tag
BITS_OF_SAMPLES, PHOTOMETRIC = 258, 262  # TIFF tags
HEADS = {
    "PPM": re.compile(rb"^P[36](?:\s+#[^\n]*)*\s+\d+\s+\d+\s+(\d{1,5})\s"),
    "JPEG2000": re.compile(rb"(?:ihdr.{10}|\xff\x4f\xff\x51.{38})(.)", re.DOTALL),
}
"""Where formats without such a tag have the largest value of a sample, or its bits less one."""
OTHER_FORMS = {
    b"ftyphei": "HEIC, as phones write it",
    b"ftypmif1": "HEIF",
    b"<svg": "SVG",
    b"%PDF-": "PDF",
    b"8BPS": "Photoshop (PSD)",
    b"DICM": "DICOM",
    b"\x93NUMPY": "an array of numpy (data=arrays reads those)",
}
"""What files may be in spite of their names, by some of their first bytes."""
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as in Pillow
FLOAT_BYTES = 4
MOST_BYTES = 3 * 2**27
"""Of the pixels of one image, some 134 megapixels in colour: decoding holds up to four copies of them."""
WIDE = 257
"""A byte times this has the range of 16 bits."""
WIDE_MODES = frozenset({"I", "F", "I;16", "I;16L", "I;16B", "I;16N"})


@dataclass(frozen=True, slots=True)
class ImageForm:
    """What every image of a set becomes.

    `colour`: red, green and blue, else grey; `size`: (height, width), None as it is; `background`: the colour
    behind transparent parts; `wide`: float32 in the range of 16 bits, else bytes; `deep`: float32 of any
    range, of files whose samples have 32 bits, and of no others; None: not known, of a model of an earlier
    release.
    """

    colour: bool
    size: tuple[int, int] | None
    background: str
    wide: bool = False
    deep: bool | None = False


@cache
def _list_formats() -> tuple[str, ...]:
    """Return those of `FORMATS` that this Pillow was built with."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def count_bits(path: Path) -> int:
    """Return how many bits a sample of the image has: 8 (or less), 16 or 32; 8 where it cannot be read."""
    try:
        with warnings.catch_warnings(), Image.open(path, formats=_list_formats()) as image:
            warnings.simplefilter("ignore")
            if _is_deep(image):
                return 32
            return 16 if image.mode in WIDE_MODES or _is_wide_png(path, image) else 8
    except Exception:  # decoding names what is wrong
        return 8


def _is_deep(image: Image.Image) -> bool:
    if image.mode == "I" and image.format == "TIFF":  # of other formats, and of 16 bits with a sign, too
        return max(image.tag_v2.get(BITS_OF_SAMPLES, (8,))) > 16  # type: ignore[attr-defined,no-any-return]
    return image.mode == "F"


def _is_wide_png(path: Path, image: Image.Image) -> bool:
    with path.open("rb") as file:
        return image.format == "PNG" and file.read(25)[24:] == b"\x10"


def decode_image(path: Path, form: ImageForm, note: Callable[[str], None]) -> np.ndarray:
    """Read an image: turned as its EXIF data say, transparent parts on the background, its first frame.

    Return uint8, or where the form is wide float32, [height, width] or [height, width, 3]. `note`: gets what
    was done beyond reading.

    Raises:
        Unreadable: it is no image, damaged, or too large.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow, on a size that still fits and on damaged EXIF data
            with Image.open(path, formats=_list_formats()) as image:
                _check_size(path, image, form)
                _check_bits(path, image)
                if (
                    getattr(image, "is_animated", False) and image.format != "MPO"
                ):  # MPO: previews of a camera
                    note("of several frames: the first is used")
                _check_depth(image, form)
                if form.wide:
                    return _convert_wide(path, image, form, note)
                if image.mode in WIDE_MODES:
                    return _convert_narrow(path, image, form, note)
                return np.asarray(_convert_bytes(image, form, note))
    except Image.DecompressionBombError:
        raise Unreadable(
            f"it has more than {2 * (Image.MAX_IMAGE_PIXELS or 0) // 10**6} megapixels"
        ) from None
    except MemoryError:
        raise Unreadable("too large for the memory") from None
    except Exception as error:  # of many kinds: plug-ins of Pillow fail as they like on damaged files
        form_there = _name_form(path) if isinstance(error, UnidentifiedImageError) else ""
        text = form_there or str(error).replace(f" '{path}'", "").replace(str(path), path.name)
        raise Unreadable(text or type(error).__name__) from None


def _name_form(path: Path) -> str:
    """Return what a file is that Pillow does not know, with the remedy; "" where nothing tells."""
    with path.open("rb") as file:
        head = file.read(132).lstrip()
    form = next((form for magic, form in OTHER_FORMS.items() if magic in head), "")
    return form and f"{form}, which is not read here: save it as PNG"


def _check_size(path: Path, image: Image.Image, form: ImageForm) -> None:
    """Raise Unreadable where a file of few bytes has very many pixels: wide ones take four bytes a colour."""
    size = image.width * image.height * len(image.getbands()) * (FLOAT_BYTES if form.wide else 1)
    if size > MOST_BYTES:
        raise Unreadable(
            f"it has {image.width * image.height / 1e6:,.0f} megapixels, which take {size / 2**20:,.0f} MiB, "
            f"more than {MOST_BYTES // 2**20}: scale it down first"
        )
    if size > compute_bound(path):
        raise Unreadable(f"it unpacks to more than {MOST_RATIO} times its size")


def _check_depth(image: Image.Image, form: ImageForm) -> None:
    """Raise Unreadable for samples of 32 bits among others and the other way round: white is unknown."""
    is_deep = _is_deep(image)
    if is_deep == bool(form.deep) or (is_deep and form.wide and form.deep is None):
        return
    here, others = ("32 bits", "16 or less" if form.wide else "8") if is_deep else ("16 bits or less", "32")
    raise Unreadable(
        f"its samples have {here}, those of other images {others}, and nothing tells how bright they are "
        "beside each other: save all images in one form"
    )


def _check_bits(path: Path, image: Image.Image) -> None:
    """Raise Unreadable for colours of more than 8 bits a sample, of which Pillow would keep the first 8."""
    if image.mode in WIDE_MODES:
        return
    bits = 8
    if image.format == "TIFF":
        bits = max(image.tag_v2.get(BITS_OF_SAMPLES, (8,)))  # type: ignore[attr-defined]
    elif image.format in HEADS:
        with path.open("rb") as file:
            if match := HEADS[image.format].search(file.read(1024)):
                bits = int(match[1]).bit_length() if image.format == "PPM" else match[1][0] % 128 + 1
    if bits > 8:
        raise Unreadable(f"{bits} bits a sample in colour, of which 8 can be read: save it as PNG")


def _convert_bytes(image: Image.Image, form: ImageForm, note: Callable[[str], None]) -> Image.Image:
    _note_orientation(image, note)
    try:
        image = ImageOps.exif_transpose(image)
    except Exception:  # damaged EXIF data spoil no image
        image.load()
    if image.has_transparency_data:
        image = _lay_on_background(image.convert("RGBA"), form.background, note)
    if image.mode not in {"1", "L", "LA", "P", "RGB"}:
        image = image.convert("RGB")
    image = image.convert("RGB" if form.colour else "L")
    if form.size is not None and image.size != form.size[::-1]:
        image = image.resize(form.size[::-1], Image.Resampling.BILINEAR)
    return image


def _note_orientation(image: Image.Image, note: Callable[[str], None]) -> int:
    try:
        orientation = int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # damaged EXIF data
        return 1
    if 2 <= orientation <= 8:
        note("turned or mirrored as their EXIF data say")
    return orientation


def _lay_on_background(image: Image.Image, background: str, note: Callable[[str], None]) -> Image.Image:
    """Lay an RGBA image on a background; return it as RGB."""
    alpha = image.getchannel("A").getextrema()
    if alpha == (255, 255):
        return image.convert("RGB")
    note(f"transparent in parts: laid on {background} (data.background=...)")
    laid = Image.alpha_composite(Image.new("RGBA", image.size, background), image).convert("RGB")
    bands = [laid.getchannel(band).getextrema() for band in "RGB"]
    if alpha[0] != alpha[1] and all(low == high for low, high in bands):
        note(describe_flat(background))
    return laid


def describe_flat(background: str) -> str:
    """Return what is noted of an image that cannot be seen on its background."""
    other = "white" if background == "black" else "black"
    return f"of one flat colour on {background}: data.background={other} may show what is in them"


# ---- more than 8 bits a sample --------------------------------------------------------------------------


def _convert_wide(path: Path, image: Image.Image, form: ImageForm, note: Callable[[str], None]) -> np.ndarray:
    """Return float32 with the numbers of the file where it has 16 bits or more, bytes times 257."""
    if image.mode in WIDE_MODES:
        numbers = np.asarray(image, np.float32)
        if image.mode.startswith("I;16") and image.format == "TIFF" and _has_white_as_zero(image):
            note("stored with white as 0: turned over, as black is 0 in the others")
            numbers = 65535 - numbers
        numbers = _turn(numbers, _note_orientation(image, note))
    elif _is_wide_png(path, image):
        orientation = _note_orientation(image, note)
        numbers = _turn(_blend(_decode_wide_png(path), form.background, note), orientation)
    else:
        sized = ImageForm(image.mode not in {"1", "L", "LA"}, None, form.background)
        numbers = np.asarray(_convert_bytes(image, sized, note), np.float32) * WIDE
    if numbers.ndim == 2 and form.colour:
        numbers = np.repeat(numbers[..., None], 3, axis=2)
    elif numbers.ndim == 3 and not form.colour:
        numbers = numbers @ LUMA
    if form.size is None or numbers.shape[:2] == form.size:
        return numbers
    planes = [numbers] if numbers.ndim == 2 else list(np.moveaxis(numbers, 2, 0))
    sized_planes = [
        np.asarray(Image.fromarray(plane).resize(form.size[::-1], Image.Resampling.BILINEAR))
        for plane in map(np.ascontiguousarray, planes)
    ]
    return sized_planes[0] if numbers.ndim == 2 else np.stack(sized_planes, axis=2)


def _convert_narrow(
    path: Path, image: Image.Image, form: ImageForm, note: Callable[[str], None]
) -> np.ndarray:
    """Return bytes of a grey image of 16 bits, which Pillow would cut at 255, for a model of bytes."""
    numbers = _convert_wide(path, image, replace(form, wide=True), note)
    return np.rint(np.clip(numbers / WIDE, 0, 255)).astype(np.uint8)


def _has_white_as_zero(image: Image.Image) -> bool:
    return image.tag_v2.get(PHOTOMETRIC) == 0  # type: ignore[attr-defined,no-any-return]


def _decode_wide_png(path: Path) -> np.ndarray:
    """Decode a PNG image of 16 bits a sample, of which Pillow keeps 8: float32 [height, width, channels]."""
    from pipeline.backend import tf

    decoded: np.ndarray = tf.io.decode_png(path.read_bytes(), dtype=tf.uint16).numpy().astype(np.float32)
    return decoded


def _blend(numbers: np.ndarray, background: str, note: Callable[[str], None]) -> np.ndarray:
    """Lay what has an alpha channel on the background; return [height, width] or [height, width, 3]."""
    channels = numbers.shape[2]
    colour, alpha = numbers, None
    if channels in {2, 4}:
        colour, alpha = numbers[..., :-1], numbers[..., -1:] / np.float32(65535)
    if alpha is not None and alpha.min() < 1:
        note(f"transparent in parts: laid on {background} (data.background=...)")
        behind = np.array(ImageColor.getrgb(background)[:3], np.float32) * WIDE
        behind = behind if colour.shape[2] == 3 else behind @ LUMA
        colour = colour * alpha + behind * (1 - alpha)
    return colour[..., 0] if colour.shape[2] == 1 else colour


def _turn(numbers: np.ndarray, orientation: int) -> np.ndarray:
    """Turn an array [height, width, ...] as the EXIF orientation says, which is what was done to take it."""
    if orientation in {5, 6, 7, 8}:
        numbers = numbers.swapaxes(0, 1)
    if orientation in {3, 4, 7, 8}:
        numbers = numbers[::-1]
    if orientation in {2, 3, 6, 7}:
        numbers = numbers[:, ::-1]
    return numbers
