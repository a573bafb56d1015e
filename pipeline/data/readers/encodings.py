"""Bytes as text: the encoding is detected, and marks and letters that nobody sees are taken off."""

import codecs
import re
from collections.abc import Iterable
from contextlib import suppress

from pipeline.data.readers.alphabets import ENCODINGS, LOST, SCRIPTS, rate_text
from pipeline.formatting import shorten

AUTO = "auto"
SAMPLE_BYTES = 2**18
"""So much of all that is no UTF-8 decides on its encoding."""
MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16's, which begins alike
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
ASIAN = re.compile(r"[\t\n\r -~\u0e00-\u0e7f\u3000-\u30ff\u4e00-\u9fff\uac00-\ud7a3\uff00-\uffef]")
READABLE = re.compile(
    r"[\t\n\r -~\u00a0-\u0590\u05d0-\u06ff\u0900-\u0dff\u0e00-\u0e7f\u2010-\u2026\u3000-\u30ff"
    r"\u4e00-\u9fff\uac00-\ud7a3\uff00-\uffef]"
)
"""Letters and signs of scripts that many people write."""
BINARY = re.compile(r"[\x01-\x08\x0e-\x19\x1c-\x1f\x7f]")
"""Characters that hardly any text has."""
MOST_BINARY = 0.05
ISO_2022 = re.compile(rb"\x1b[$(]")
RATED_BYTES = 2**12
"""So much of the words with other bytes than ASCII is judged."""
GAPS = re.compile(rb"[\s,;]+")
"""No letter of two bytes ends in one of these."""
SMALL = bytes(byte for byte in range(32) if byte not in b"\t\n\r")
"""Bytes that stand for no letter where each has one byte; in UTF-16 they are half of one."""
MARGIN = 10.0
"""A text must look so much more (logarithm) like one in its own encoding than in that of the others."""
USUAL, USUAL_OF_TWO_BYTES = -3.5, -6.2
"""What a letter that is no ASCII adds in a text that is decoded rightly, or a little less."""
UNBROKEN = 10
"""So many times as many letters of UTF-8 as other bytes are UTF-8 that is broken."""
STRANGE = -9.0
"""What looks worse than this, for each letter that is no ASCII, is in an encoding that is not in the list."""
DOUBT = 2.0
"""An encoding that looks less like the best one by no more than this (logarithm) may be the right one."""
DOUBTFUL = "with too few letters to be sure of the encoding:"
CONTROLS = re.compile(
    r"[\x00-\x08\x0b\x0e-\x1f\x7f-\xa0\u1680\u2000-\u200b\u2028\u2029\u202f\u205f\u3000\ufeff\ufffe]"
)
"""What is no letter: control characters, and the spaces that words are not split at otherwise."""


def decode_text(content: bytes, encoding: str) -> tuple[str, str]:
    """Decode a text; return it, and the encoding that was used: what its byte order mark names goes first.

    Line ends become newlines, NUL and other control characters a space.

    Raises:
        UnicodeDecodeError: it is not in this encoding, or no text: of many control characters.
    """
    used = find_mark(content) or encoding
    text = content.decode(used)
    if not used.startswith("utf") and len(BINARY.findall(text)) > MOST_BINARY * len(text):
        raise UnicodeDecodeError(used, content[:1], 0, 1, "no text, by its control characters")
    return clean_text(text), used


def choose_encoding(content: bytes, other: str) -> str:
    """Return UTF-8 for what is that, as hardly any other text is by chance, and `other` for the rest.

    A text that is long enough to be clearly in another encoding, as in a folder of several, is in its own.
    """
    if _is_utf8(content) or is_broken_utf8(content):  # a broken one cannot be decoded, and is named
        return "utf-8"
    if other not in ENCODINGS:
        return other
    sample = _take_sample(content)
    text = sample.decode(other, "replace")
    as_others = rate_text(text, other)
    usual = (USUAL_OF_TWO_BYTES if other in SCRIPTS else USUAL) * sum(letter > "\x7f" for letter in text)
    if as_others >= usual - MARGIN:  # nothing looks so much better
        return other
    best, rated = _find_best(sample)
    return best if rated > as_others + MARGIN else other


def clean_text(text: str) -> str:
    """Return the text with newlines as line ends, and a space for control characters and odd spaces."""
    return CONTROLS.sub(" ", text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n"))


def find_mark(content: bytes) -> str | None:
    """Return the encoding that the byte order mark names; None where there is no mark."""
    return next((encoding for mark, encoding in MARKS.items() if content.startswith(mark)), None)


def detect_encoding(contents: Iterable[bytes]) -> str:
    """Return one encoding for all contents that have no mark: UTF-8 where they are, else what looks best."""
    return detect_with_doubt(contents)[0]


def detect_with_doubt(contents: Iterable[bytes]) -> tuple[str, str]:
    """Return the encoding of `detect_encoding`, and its doubt as of `find_doubt`.

    What is no UTF-8 is judged together, as a short text tells little about its encoding.
    """
    sample = bytearray()
    for content in contents:
        if find_mark(content) is None and not _is_utf8(content) and not is_broken_utf8(content):
            if wide := find_wide(content):
                return wide, ""
            sample += content[:SAMPLE_BYTES] + b"\n"
            if len(sample) >= SAMPLE_BYTES:
                break
    if not sample:
        return "utf-8", ""
    encoding = judge_encoding(bytes(sample))
    return encoding, find_doubt(bytes(sample), encoding)


def _is_utf8(content: bytes) -> bool:
    """Return whether it is UTF-8, and none of what looks like it: UTF-16 and 32 without a mark, ISO-2022."""
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return find_wide(content) is None and ISO_2022.search(content) is None


def is_broken_utf8(content: bytes) -> bool:
    """Return whether it is UTF-8 but for a few letters, as where a byte was lost or a letter cut."""
    text = content.decode("utf-8", "replace")
    lost = text.count(LOST)
    others = sum(letter > "\x7f" for letter in text) - lost
    return lost > 0 and others >= UNBROKEN * lost and find_wide(content) is None


def find_wide(content: bytes) -> str | None:
    """Return which UTF-32 or UTF-16 without a mark it may be; None where it is none."""
    for encoding in ("utf-32-le", "utf-32-be"):  # of most numbers of four bytes there is no letter
        with suppress(UnicodeDecodeError):
            text = content[: 4 * RATED_BYTES].decode(encoding)
            if len(text) > 1 and "\0" not in text:
                return encoding
    return _find_utf16(content)


def _find_utf16(content: bytes) -> str | None:
    """Return which UTF-16 without a mark it may be; None where it is none.

    By the places of its NUL bytes, half of each Latin letter; those of Asia have few of them. In other
    scripts that half is another byte that is no letter, such as 4 in the Cyrillic one.
    """
    half = len(content) // 2
    if len(content) % 2 or not half:
        return None
    even, odd = content[::2].count(0), content[1::2].count(0)
    encoding = "utf-16-le" if odd > even else "utf-16-be"
    if (
        even + odd > 0
        and even * odd <= 0.01 * half * half
        and (max(even, odd) > 0.3 * half or _is_written_in(ASIAN, content.decode(encoding, "replace")))
    ):
        return encoding
    even, odd = (len(byte) - len(byte.translate(None, SMALL)) for byte in (content[::2], content[1::2]))
    encoding = "utf-16-le" if odd > even else "utf-16-be"
    if max(even, odd) < 0.4 * half or min(even, odd) > 0.05 * half:
        return None
    return encoding if _is_written_in(READABLE, content.decode(encoding, "replace")) else None


def _is_written_in(letters: re.Pattern[str], text: str) -> bool:
    return len(letters.findall(text)) >= 0.95 * len(text)


def judge_encoding(content: bytes) -> str:
    """Return the encoding of what is no UTF-8, by the letters that texts of each language have."""
    if match := ISO_2022.search(content):
        return "iso2022_kr" if content[match.start() :].startswith(b"\x1b$)C") else "iso2022_jp"
    sample = _take_sample(content)
    best, rated = _find_best(sample)
    letters = sum(letter > "\x7f" for letter in sample.decode(best, "replace"))
    if rated < STRANGE * letters:
        from charset_normalizer import from_bytes

        match_of_any = from_bytes(content[:SAMPLE_BYTES]).best()
        return best if match_of_any is None else match_of_any.encoding
    return best


def find_doubt(content: bytes, encoding: str) -> str:
    """Return a word as it is read, and in another encoding that is nearly as likely; "" where none is."""
    if encoding not in ENCODINGS:
        return ""
    sample = _take_sample(content)
    words = sample.split(b" ")
    rates = _rate_all(sample)
    for second in sorted(rates, key=lambda encoding: -rates[encoding]):
        if rates[second] < rates[encoding] - DOUBT:
            break
        for word in words:
            read, else_read = word.decode(encoding, "replace"), word.decode(second, "replace")
            if read != else_read:
                return f"{encoding} as in {shorten(read, 20)!r}, or {second} as in {shorten(else_read, 20)!r}"
    return ""


def _take_sample(content: bytes) -> bytes:
    """Return the first words with other bytes than ASCII, each once: a word that repeats tells no more."""
    words = dict.fromkeys(word for word in GAPS.split(content[:SAMPLE_BYTES]) if not word.isascii())
    return b" ".join(words)[:RATED_BYTES]


def _find_best(sample: bytes) -> tuple[str, float]:
    """Return the encoding in which a sample looks most like text, and how much (logarithm)."""
    rates = _rate_all(sample)
    best = max(rates, key=lambda encoding: rates[encoding])
    return best, rates[best]


def _rate_all(sample: bytes) -> dict[str, float]:
    return {encoding: rate_text(sample.decode(encoding, "replace"), encoding) for encoding in ENCODINGS}
