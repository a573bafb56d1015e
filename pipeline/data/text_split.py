"""Whether texts are cut into words at their spaces, or into letters, as those of scripts without spaces."""

import re
from collections.abc import Iterable

from pipeline.settings.preprocess import TextSplit, Vocabulary

UNSPACED = re.compile(
    "[\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Tibetan, Burmese, Khmer
    "\u2e80-\u2fdf\u3005-\u30ff\u31f0-\u31ff\u3400-\u9fff\uf900-\ufaff\uff66-\uff9f"  # Chinese, Japanese
    "\u2600-\u27bf\U0001f000-\U0001faff\U00020000-\U0003ffff]"  # emoji, rare Chinese
)
LETTER = re.compile(r"\w")
UNSPACED_SHARE = 0.3
"""Texts with more letters than this of scripts without spaces are cut into letters."""
LONG_WORD = 25
"""Texts whose words are longer than this on average have no spaces between words, whatever their script."""


def choose_split(settings: Vocabulary, texts: Iterable[str]) -> TextSplit:
    """Return how to cut texts: as the setting says, or as the texts are written."""
    if settings.split is not TextSplit.auto:
        return settings.split
    return TextSplit.letters if is_unspaced(texts) else TextSplit.words


def is_unspaced(texts: Iterable[str]) -> bool:
    """Return whether texts are written without spaces between words: by their script, or long words."""
    unspaced = letters = words = length = 0
    for text in texts:
        of_script, others = _count_letters(text)
        unspaced, letters = unspaced + of_script, letters + others
        words += len(text.split())
        length += len(text)
    return unspaced > UNSPACED_SHARE * (unspaced + letters) or length > LONG_WORD * max(1, words)


def has_unspaced_script(texts: Iterable[str]) -> bool:
    """Return whether texts are in a script that is written without spaces, such as Chinese or Thai."""
    counts = [_count_letters(text) for text in texts]
    unspaced, letters = (sum(column) for column in zip(*counts, strict=True)) if counts else (0, 0)
    return unspaced > UNSPACED_SHARE * (unspaced + letters)


def _count_letters(text: str) -> tuple[int, int]:
    """Return how many letters are of scripts without spaces, and how many of others."""
    return len(UNSPACED.findall(text)), len(LETTER.findall(UNSPACED.sub("", text)))
