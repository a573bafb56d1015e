"""Images as a person sees them."""

import struct
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from pipeline.data.readers import images
from pipeline.data.readers.folders import Unreadable
from pipeline.data.readers.images import ImageForm

GREY, COLOUR = ImageForm(False, None, "white"), ImageForm(True, None, "white")
WIDE_GREY, WIDE_COLOUR = ImageForm(False, None, "white", True), ImageForm(True, None, "white", True)
L_SHAPE = np.array([[250, 0, 0], [250, 0, 0], [250, 250, 0], [250, 250, 250]], np.uint8)


def decode(path: Path, form: ImageForm = GREY) -> tuple[np.ndarray, list[str]]:
    notes: list[str] = []
    return images.decode_image(path, form, notes.append), notes


def write_wide_png(path: Path, numbers: np.ndarray) -> None:
    """Write a PNG of 16 bits a sample, [height, width, channels], as Pillow does not."""
    height, width, channels = numbers.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in numbers)
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        for name, body in chunks:
            file.write(
                struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
            )


def test_an_image_that_would_fill_the_memory_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "large.png"
    Image.new("RGB", (40, 30)).save(path)
    monkeypatch.setattr(images, "MOST_BYTES", 40 * 30 * 3 - 1)
    with pytest.raises(Unreadable, match="0 megapixels, which take 0 MiB, more than 0: scale it down first"):
        images.decode_image(path, ImageForm(True, None, "white"), lambda _: None)
    monkeypatch.setattr(images, "MOST_BYTES", 40 * 30 * 3)
    assert images.decode_image(path, ImageForm(True, None, "white"), lambda _: None).shape == (30, 40, 3)


@pytest.mark.parametrize("suffix", images.SUFFIXES)
def test_every_suffix_is_read(tmp_path: Path, suffix: str) -> None:
    kind = {".jfif": "JPEG", ".jpe": "JPEG", ".dib": "BMP", ".pnm": "PPM", ".pgm": "PPM"}.get(suffix)
    pixels = np.repeat(np.repeat(L_SHAPE, 8, 0), 8, 1)
    image = Image.fromarray(pixels)
    image = image.convert("1") if suffix == ".pbm" else image
    image.save(tmp_path / f"a{suffix}", kind or ("PPM" if suffix == ".pbm" else None))
    array, notes = decode(tmp_path / f"a{suffix}")
    assert (array.dtype, notes) == (np.uint8, [])
    assert np.mean((array > 128) != (pixels > 128)) < 0.01  # JPEG and dithering move a pixel


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", [GREY, COLOUR, WIDE_GREY, WIDE_COLOUR])
def test_a_photograph_is_turned_as_a_viewer_does(tmp_path: Path, orientation: int, form: ImageForm) -> None:
    exif = Image.Exif()
    exif[images.ORIENTATION] = orientation
    Image.fromarray(L_SHAPE).save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as image:
        seen = np.asarray(ImageOps.exif_transpose(image))
    array, notes = decode(tmp_path / "a.png", form)
    grey = array[..., 0] if form.colour else array
    np.testing.assert_array_equal(grey / (images.WIDE if form.wide else 1), seen)
    assert len(notes) == (orientation > 1)
    numbers = np.arange(12, dtype=np.uint16).reshape(4, 3) * 5000
    Image.fromarray(numbers).save(tmp_path / "wide.png", exif=exif)
    turned = np.asarray(ImageOps.exif_transpose(Image.fromarray(numbers)))  # no EXIF data: as it is
    assert decode(tmp_path / "wide.png", WIDE_GREY)[0].shape == (
        turned.shape[::-1] if orientation > 4 else turned.shape
    )


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "PA", "trns"])
@pytest.mark.parametrize("background", ["white", "#ff0000"])
def test_what_is_transparent_shows_its_ground(tmp_path: Path, mode: str, background: str) -> None:
    ink = np.zeros((4, 3, 4), np.uint8)
    ink[..., 3] = L_SHAPE // 250 * 255
    image = Image.fromarray(ink)
    path = tmp_path / ("a.tif" if mode == "PA" else "a.png")
    if mode == "trns":
        Image.fromarray(np.where(L_SHAPE > 0, 0, 255).astype(np.uint8)).save(path, transparency=255)
    elif mode == "PA":
        pytest.importorskip("PIL")
        image.save(tmp_path / "a.webp", lossless=True)
        path = tmp_path / "a.webp"
    else:
        (image.quantize(4) if mode == "P" else image.convert(mode)).save(path)
    array, notes = decode(path, ImageForm(True, None, background))
    behind = (255, 255, 255) if background == "white" else (255, 0, 0)
    np.testing.assert_array_equal(array[0], [[0, 0, 0], behind, behind])
    assert notes == [f"transparent in parts: laid on {background} (data.background=...)"]


def test_what_cannot_be_seen_on_its_ground_is_noted(tmp_path: Path) -> None:
    ink = np.full((4, 3, 4), 255, np.uint8)
    ink[..., 3] = L_SHAPE
    Image.fromarray(ink).save(tmp_path / "a.png")
    assert (
        decode(tmp_path / "a.png")[1][1]
        == "of one flat colour on white: data.background=black may show what is in them"
    )
    assert len(decode(tmp_path / "a.png", ImageForm(False, None, "black"))[1]) == 1


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr"])
def test_every_mode_has_the_same_brightness(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("a.tif" if mode in {"CMYK", "YCbCr"} else "a.png")
    Image.fromarray(L_SHAPE // 250 * 255).convert("RGB").convert(mode).save(path)
    np.testing.assert_allclose(decode(path)[0], L_SHAPE // 250 * 255.0, atol=1)
    np.testing.assert_allclose(decode(path, COLOUR)[0][..., 1], L_SHAPE // 250 * 255.0, atol=1)


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
@pytest.mark.parametrize("form", [WIDE_GREY, WIDE_COLOUR])
def test_16_bits_stay_the_numbers_that_they_are(tmp_path: Path, suffix: str, form: ImageForm) -> None:
    numbers = np.array([[60, 70, 180], [65535, 256, 0]], np.uint16)
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(numbers).save(path)
    assert images.count_bits(path) == 16
    array, _ = decode(path, form)
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, np.repeat(numbers[..., None], 3, 2) if form.colour else numbers)


def test_white_as_zero_is_turned_over(tmp_path: Path) -> None:
    numbers = np.array([[60, 70, 180], [65535, 256, 0]], np.uint16)
    path = tmp_path / "a.tif"
    Image.fromarray(numbers).save(path, tiffinfo={262: 0})
    array, notes = decode(path, WIDE_GREY)
    np.testing.assert_array_equal(array, 65535.0 - numbers)
    assert notes == ["stored with white as 0: turned over, as black is 0 in the others"]


@pytest.mark.parametrize(
    ("numbers", "bits"),
    [(np.full((2, 3), 0.5, np.float32), 32), (np.full((2, 3), 70_000, np.int32), 32)],
)
def test_samples_of_32_bits_stand_beside_their_like_alone(
    tmp_path: Path, numbers: np.ndarray, bits: int
) -> None:
    form = ImageForm(False, None, "white", wide=True, deep=True)
    Image.fromarray(numbers).save(tmp_path / "a.tif")
    assert images.count_bits(tmp_path / "a.tif") == bits
    np.testing.assert_array_equal(decode(tmp_path / "a.tif", form)[0], numbers)
    with pytest.raises(Unreadable, match="32 bits, those of other images 16 or less"):
        decode(tmp_path / "a.tif", WIDE_GREY)  # 0.5 would be all but black
    for name, others in (("byte.png", L_SHAPE), ("short.tif", L_SHAPE.astype(np.uint16))):
        Image.fromarray(others).save(tmp_path / name)
        with pytest.raises(Unreadable, match="16 bits or less, those of other images 32"):
            decode(tmp_path / name, form)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
@pytest.mark.parametrize("size", [None, (8, 6)])
def test_16_bits_are_as_bright_as_8_for_a_model_of_bytes(
    tmp_path: Path, name: str, size: tuple[int, int] | None
) -> None:
    Image.fromarray(L_SHAPE).save(tmp_path / "byte.png")
    Image.fromarray(L_SHAPE.astype(np.uint16) * 257).save(tmp_path / name)
    for form in (ImageForm(False, size, "white"), ImageForm(True, size, "white")):
        array, expected = decode(tmp_path / name, form)[0], decode(tmp_path / "byte.png", form)[0]
        assert array.dtype == expected.dtype == np.uint8
        np.testing.assert_allclose(array.astype(float), expected, atol=0 if size is None else 1)


def test_samples_of_32_bits_are_refused_by_a_model_of_bytes(tmp_path: Path) -> None:
    Image.fromarray(np.full((2, 3), 0.5, np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(Unreadable, match="32 bits, those of other images 8"):
        decode(tmp_path / "a.tif", GREY)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_16_bits_in_colour_and_with_alpha(tmp_path: Path, channels: int) -> None:
    numbers = np.array([60, 70, 180, 65535], np.uint16)[:channels] * np.ones((2, 5, 1), np.uint16)
    if channels in {2, 4}:
        numbers[..., -1] = 65535
        numbers[0, 0, -1] = 0
    write_wide_png(tmp_path / "a.png", numbers)
    assert images.count_bits(tmp_path / "a.png") == 16
    array, notes = decode(tmp_path / "a.png", WIDE_COLOUR)
    colour = numbers[0, 1, :3] if channels > 2 else np.repeat(numbers[0, 1, :1], 3)
    np.testing.assert_array_equal(array[1, 1], colour)
    np.testing.assert_array_equal(array[0, 0], [65535] * 3 if channels in {2, 4} else colour)
    assert len(notes) == (channels in {2, 4})
    assert decode(tmp_path / "a.png", WIDE_GREY)[0][1, 1] == pytest.approx(colour @ images.LUMA, rel=1e-6)


def test_a_size_is_reached_as_pillow_does(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    expected = np.asarray(Image.fromarray(pixels).resize((6, 5), Image.Resampling.BILINEAR), float)
    np.testing.assert_array_equal(decode(tmp_path / "a.png", ImageForm(True, (5, 6), "white"))[0], expected)
    wide, _ = decode(tmp_path / "a.png", ImageForm(True, (5, 6), "white", True))
    np.testing.assert_allclose(wide / images.WIDE, expected, atol=1)


def test_the_first_of_several_frames_is_used(tmp_path: Path) -> None:
    frames = [Image.fromarray(L_SHAPE), Image.fromarray(255 - L_SHAPE)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    array, notes = decode(tmp_path / "a.gif")
    np.testing.assert_array_equal(array > 128, L_SHAPE > 128)
    assert notes == ["of several frames: the first is used"]


def test_damaged_exif_data_spoil_no_image(tmp_path: Path) -> None:
    Image.fromarray(L_SHAPE).save(tmp_path / "a.png", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    np.testing.assert_array_equal(decode(tmp_path / "a.png")[0], L_SHAPE)


def test_an_image_of_400_megapixels_is_refused_unread(tmp_path: Path) -> None:
    header = b"IHDR" + struct.pack(">IIBBBBB", 20_000, 20_000, 1, 0, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    (tmp_path / "a.png").write_bytes(content + struct.pack(">I", 0) + b"IDAT")
    with pytest.raises(Unreadable, match="more than 178 megapixels"):
        decode(tmp_path / "a.png")


@settings(max_examples=60)
@given(
    place=st.floats(0, 1), noise=st.binary(min_size=1, max_size=40), suffix=st.sampled_from(images.SUFFIXES)
)
def test_damaged_images_are_read_or_named(
    tmp_path_factory: pytest.TempPathFactory, place: float, noise: bytes, suffix: str
) -> None:
    path = tmp_path_factory.mktemp("damaged") / f"a{suffix}"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 9)).astype(np.uint8)).save(
        path, Counter({".jfif": "JPEG"}).get(suffix, "PNG")
    )
    content = bytearray(path.read_bytes())
    start = int(place * len(content))
    content[start : start + len(noise)] = noise
    path.write_bytes(content)
    for form in (GREY, WIDE_COLOUR):
        images.count_bits(path)
        try:
            assert decode(path, form)[0].ndim == (3 if form.colour else 2)
        except Unreadable:
            continue


PACKAGES = Path(np.__file__).parents[1]
INSTALLED = sorted(
    path
    for package in ("matplotlib", "sklearn", "scipy", "werkzeug", "ipykernel", "skimage", "imageio")
    for path in (PACKAGES / package).rglob("*")
    if path.suffix.lower() in images.SUFFIXES
)


@pytest.mark.skipif(not INSTALLED, reason="the packages come without images")
def test_the_images_of_installed_packages_are_read_as_pillow_does() -> None:
    for path in INSTALLED:
        with Image.open(path) as image:
            seen = ImageOps.exif_transpose(image).convert("RGBA")
        white = Image.new("RGBA", seen.size, "white")
        expected = np.asarray(Image.alpha_composite(white, seen).convert("RGB"), float)
        wide = images.count_bits(path) > 8
        array, _ = decode(path, ImageForm(True, None, "white", wide))
        np.testing.assert_allclose(array / (images.WIDE if wide else 1), expected, atol=1, err_msg=str(path))


def write_tiff(path: Path, numbers: np.ndarray) -> None:
    """Write a TIFF of 16 bits a sample in colour, [height, width, 3], as Pillow does not."""
    height, width, _ = numbers.shape
    count = 9
    behind = 8 + 2 + 12 * count + 4
    tags = [(256, 3, width), (257, 3, height), (259, 3, 1), (262, 3, 2), (273, 4, behind + 6), (277, 3, 3)]
    entries = [struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags]
    entries.insert(2, struct.pack("<HHII", 258, 3, 3, behind))
    entries += [struct.pack("<HHII", 278, 3, 1, height), struct.pack("<HHII", 279, 4, 1, numbers.size * 2)]
    bits = struct.pack("<3H", 16, 16, 16)
    head = b"II*\0" + struct.pack("<IH", 8, count) + b"".join(entries) + bytes(4)
    path.write_bytes(head + bits + numbers.astype("<u2").tobytes())


def write_pixmap(path: Path, numbers: np.ndarray) -> None:
    size = f"{numbers.shape[1]} {numbers.shape[0]}"
    path.write_bytes(f"P6\n# a camera\n{size}\n4095\n".encode() + numbers.astype(">u2").tobytes())


@pytest.mark.parametrize(("name", "write"), [("t.tif", write_tiff), ("t.ppm", write_pixmap)])
def test_colours_of_more_than_eight_bits_are_no_black(
    tmp_path: Path, name: str, write: Callable[[Path, np.ndarray], None]
) -> None:
    write(tmp_path / name, np.full((4, 5, 3), 200))
    for form in (COLOUR, WIDE_COLOUR):
        with pytest.raises(
            Unreadable, match=r"1[26] bits a sample in colour, of which 8 can be read: save it"
        ):
            decode(tmp_path / name, form)


def test_colours_of_eight_bits_are_read_from_each_of_these_formats(tmp_path: Path) -> None:
    for name in ("t.tif", "t.ppm", "t.jp2"):
        Image.new("RGB", (5, 4), (200, 100, 50)).save(tmp_path / name)
        np.testing.assert_allclose(decode(tmp_path / name, COLOUR)[0][2, 2], [200, 100, 50], atol=2)


@pytest.mark.parametrize(
    ("head", "form"),
    [
        (b"\0\0\0\x18ftypheic", "HEIC, as phones write it, which is not read here: save it as PNG"),
        (b"<svg/>", "SVG, which is not read here"),
        (bytes(128) + b"DICM", "DICOM, which"),
        (b"no image", "cannot identify image file"),
    ],
)
def test_a_picture_of_another_form_under_a_usual_name_is_named(
    tmp_path: Path, head: bytes, form: str
) -> None:
    (tmp_path / "t.jpg").write_bytes(head + bytes(64))
    with pytest.raises(Unreadable, match=form):
        decode(tmp_path / "t.jpg")
