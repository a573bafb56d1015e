"""What a study is bound to: the data that its trials read, and checkpoints that no other study has."""

from collections.abc import Mapping
from secrets import token_hex
from typing import Any

from pipeline.errors import BadSetting
from pipeline.search.study_store import StudyStore

DATA, IDENTITY = "data", "identity"
SHOWN_LETTERS = 12


def bind_study(store: StudyStore, digests: Mapping[str, str]) -> str:
    """Bind a study to its data and return its identity, a word for the folder of its checkpoints.

    A study of this name in another storage, or begun anew, has another identity. A study of release 0.1.0 has
    none, and nothing of its data: it goes on, and both are written down now.

    `digests`: SHA-256 (hex) of each data set, by the words that name it.

    Raises:
        BadSetting: the study was begun with other data; nothing is written.
    """
    attrs = store.read_attrs()
    _check_data(store.name, attrs, digests)
    if IDENTITY in attrs and digests.keys() <= attrs[DATA].keys():
        return str(attrs[IDENTITY])
    with store.exclusive(IDENTITY):
        attrs = store.read_attrs()  # another process may have been faster
        _check_data(store.name, attrs, digests)
        identity: str = attrs.get(IDENTITY) or token_hex(4)
        store.write_attr(DATA, {**attrs.get(DATA, {}), **digests})
        store.write_attr(IDENTITY, identity)
    return identity


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
