"""What a study is bound to: the data that its trials read, and checkpoints that no other study has."""

import sys
from collections.abc import Mapping
from secrets import token_hex
from typing import Any

from pipeline.errors import BadSetting
from pipeline.search.study_store import StudyStore

DATA, IDENTITY, NAMED = "data", "identity", "named"
"""Attributes of a study; the last is the name that it had when it got its identity."""
SHOWN_LETTERS = 12


def bind_study(store: StudyStore, digests: Mapping[str, str]) -> str:
    """Bind a study to its data and return its identity, a word for the folder of its checkpoints.

    A study of this name in another storage, or begun anew, has another identity; so has a copy under another
    name, which Optuna makes with all attributes. A study of release 0.1.0 has none, and nothing of its data:
    it goes on, and both are written down now.

    `digests`: SHA-256 (hex) of each data set, by the words that name it.

    Raises:
        BadSetting: the study was begun with other data; nothing is written.
    """
    attrs = store.read_attrs()
    _check_data(store.name, attrs, digests)
    if attrs.get(NAMED) == store.name and digests.keys() <= attrs[DATA].keys():
        return str(attrs[IDENTITY])
    with store.exclusive(IDENTITY):
        attrs = store.read_attrs()  # another process may have been faster
        _check_data(store.name, attrs, digests)
        identity = str(attrs.get(IDENTITY) or token_hex(4))
        if copied := find_copied(store.name, attrs):
            identity = token_hex(4)
            print(
                f"study {store.name} is a copy of {copied}, whose MLflow runs stay as they are",
                file=sys.stderr,
            )
        store.write_attr(DATA, {**attrs.get(DATA, {}), **digests})
        store.write_attr(IDENTITY, identity)
        store.write_attr(NAMED, store.name)
    return identity


def find_copied(name: str, attrs: Mapping[str, Any]) -> str | None:
    """Find the name of the study that this one is a copy of, as it may be renamed; None where it is none."""
    named = attrs.get(NAMED, name)
    return None if named == name else str(named)


def _check_data(study: str, attrs: Mapping[str, Any], digests: Mapping[str, str]) -> None:
    """Raise BadSetting for the first data set that the study has read with another content."""
    for words, digest in digests.items():
        recorded = attrs.get(DATA, {}).get(words, digest)
        if recorded != digest:
            what = "code" if any(word.startswith("trial=") for word in words.split()) else "data"
            raise BadSetting(
                f"search.study={study} was begun with {what} {recorded[:SHOWN_LETTERS]} ({words}), "
                f"got {digest[:SHOWN_LETTERS]}; start anew with search.study=NAME, or put the {what} back"
            )
