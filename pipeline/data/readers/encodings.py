"""Bytes as text: the encoding is detected, and marks and letters that nobody sees are taken off."""

import codecs
import re
from collections.abc import Iterable

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
LIKELY = [
    *("gb18030", "big5", "cp932", "euc_jp", "iso2022_jp", "cp949", "cp874"),
    *("cp1252", "cp1251", "koi8_r", "cp1250", "cp1253", "cp1254", "cp1255", "cp1256"),
]
"""What texts are in that people have; others are tried where none of these fits."""
ASIAN = re.compile(r"[\t\n\r -~\u0e00-\u0e7f\u3000-\u30ff\u4e00-\u9fff\uac00-\ud7a3\uff00-\uffef]")
ISO_2022 = re.compile(rb"\x1b[$(]")
CONTROLS = re.compile(
    r"[\x00-\x08\x0b\x0e-\x1f\x7f-\xa0\u1680\u2000-\u200b\u2028\u2029\u202f\u205f\u3000\ufeff\ufffe]"
)
"""What is no letter: control characters, and the spaces that words are not split at otherwise."""


def decode_text(content: bytes, encoding: str) -> tuple[str, str]:
    """Decode a text; return it, and the encoding that was used: what its byte order mark names goes first.

    Line ends become newlines, NUL and other control characters a space.

    Raises:
        UnicodeDecodeError: it is not in this encoding.
    """
    used = find_mark(content) or encoding
    return clean_text(content.decode(used)), used


def choose_encoding(content: bytes, other: str) -> str:
    """Return UTF-8 for what is that, as hardly any other text is by chance, and `other` for the rest."""
    return "utf-8" if _is_utf8(content) else other


def clean_text(text: str) -> str:
    """Return the text with newlines as line ends, and a space for control characters and odd spaces."""
    return CONTROLS.sub(" ", text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n"))


def find_mark(content: bytes) -> str | None:
    """Return the encoding that the byte order mark names; None where there is no mark."""
    return next((encoding for mark, encoding in MARKS.items() if content.startswith(mark)), None)


def detect_encoding(contents: Iterable[bytes]) -> str:
    """Return one encoding for all contents that have no mark: UTF-8 where they are, else what looks best.

    What is no UTF-8 is judged together, as a short text tells little about its encoding.
    """
    sample = bytearray()
    for content in contents:
        if find_mark(content) is None and not _is_utf8(content):
            if utf16 := _find_utf16(content):
                return utf16
            sample += content[:SAMPLE_BYTES] + b"\n"
            if len(sample) >= SAMPLE_BYTES:
                break
    return _judge(bytes(sample)) if sample else "utf-8"


def _is_utf8(content: bytes) -> bool:
    """Return whether it is UTF-8, and neither UTF-16 without a mark nor ISO-2022, which look like it."""
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return _find_utf16(content) is None and ISO_2022.search(content) is None


def _find_utf16(content: bytes) -> str | None:
    """Return which UTF-16 without a mark it may be, by the places of its NUL bytes; None where it is none."""
    half = len(content) // 2
    even, odd = content[::2].count(0), content[1::2].count(0)
    if len(content) % 2 or not even + odd or even * odd > 0.01 * half * half:
        return None
    encoding = "utf-16-le" if odd > even else "utf-16-be"
    if max(even, odd) > 0.3 * half:
        return encoding
    text = content.decode(encoding, "replace")  # scripts of Asia have few NUL bytes
    return encoding if len(ASIAN.findall(text)) >= 0.95 * len(text) else None


def _judge(sample: bytes) -> str:
    from charset_normalizer import from_bytes

    best = from_bytes(sample, cp_isolation=LIKELY).best() or from_bytes(sample).best()
    if best is None or sample.decode("cp1252", "replace") == str(best):  # several are alike in most letters
        return "cp1252"
    return best.encoding
