"""What people call folders and rows of splits: train, Validation, test_set, val2017, 1-training-images."""

import re

SPLITS = {
    "train": ("train", "trn", "training", "learn", "learning"),
    "validation": (
        *("val", "valid", "validation", "validate", "dev", "development"),
        *("eval", "evaluation"),
    ),
    "test": ("test", "tst", "testing", "holdout", "heldout"),
}
"""The words for each split, in any case."""
THINGS = (
    *("set", "data", "dataset", "split", "subset", "part", "fold", "folder", "dir", "seg"),
    *("image", "images", "img", "imgs", "pic", "pics", "picture", "pictures", "photo", "photos"),
    *("file", "files", "sample", "samples", "example", "examples", "text", "texts", "doc", "docs"),
    *("audio", "sound", "sounds", "wav", "wavs", "clip", "clips"),
)
"""Words that stand beside them and say nothing."""
PATTERN = re.compile(
    rf"(?:\d+[\W_]+)?(?:(?:{'|'.join(THINGS)})[\W_]+)?"
    rf"(?P<word>{'|'.join(word for words in SPLITS.values() for word in words)})"
    rf"(?:[\W_]*(?:{'|'.join(THINGS)}))?(?:[\W_]*(?:19|20)\d\d)?"
)


def find_split(name: str) -> str | None:
    """Return the split that a name stands for: `train`, `validation` or `test`; None for any other name."""
    match = PATTERN.fullmatch(name.strip().lower())
    return match and next(split for split, words in SPLITS.items() if match["word"] in words)
