"""Passwords and tokens in addresses and in the environment never reach a run, a log or a message."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import chain
from urllib.parse import unquote_plus

HIDDEN = "***"
MIN_LETTERS = 6
"""A secret of the environment that is shorter may be an ordinary word of a text."""
SHORT_LETTERS = 100
"""What is masked of texts as short as this is remembered."""
MIN_PART_LETTERS = 2
"""A part of an address's secret; libraries show parts where they cut an address in the wrong place."""

_ADDRESS = re.compile(r"(?:[\w.]+=)?['\"]?(?P<address>[a-zA-Z][\w+.-]*://[^\r\n]*)")
"""A whole text that is one address, or sets a key to one: spaces are part of it."""
_SECRET = r"(?P<scheme>\b[a-zA-Z][\w+.-]*://)(?P<user>[^:/{space}]*):(?P<secret>[^{space}]*)@"
_SECRET_OF_TEXT = re.compile(_SECRET.format(space=r"\s"))
_SECRET_OF_ADDRESS = re.compile(_SECRET.format(space=r"\r\n"))
_LONE_USER = re.compile(r"(?P<scheme>\b[a-zA-Z][\w+.-]*://)[^/@:\s]+@")
_QUERY = r"(?P<key>[?&;](?P<name>[^=&?{space}]+)=)(?P<value>[^&{space}]+)"
_QUERY_OF_TEXT = re.compile(_QUERY.format(space=r"\s'\""))
_QUERY_OF_ADDRESS = re.compile(_QUERY.format(space=r"\r\n"))
_OF_KEYS = "access|account|api|encryption|private|signing|storage|subscription"
_OF_TOKENS = "access|api|auth|bot|deploy|gh|github|gitlab|hf|oauth|private|refresh|security|session|tracking"
_NAME = (
    r"(?:(?:[\w.-]*[_.-])?(?:password|passwd|pwd|passphrase|secret"
    rf"|(?:{_OF_KEYS})[_-]?key|(?:{_OF_TOKENS})[_-]token)|token|sslpassword)"
)
"""What secrets are called where they are set; other tokens, as pad_token, are words of a text."""
_IS_NAME = re.compile(_NAME, re.IGNORECASE)
_ASSIGNED = re.compile(
    rf"(?P<key>(?<![\w.-])(?:(?P<quote>\\*['\"]?){_NAME}(?P=quote)\s?[=:]\s?"
    rf"|--?{_NAME}(?:[\s=]\s?|\\*['\"],\s?(?=\\*['\"])))"
    r"|\bauthorization\\*['\"]?\s?[=:]\s?\\*['\"]?(?:(?:basic|bearer|digest|token)\s)?|(?-i:\bBearer ))"
    r"(?:(?P<mark>\\*['\"])(?:(?!(?P=mark))[^\r\n])*(?P=mark)|['\"]?(?:[^\s,;&'\"\\]|\\(?!['\"]))+)",
    re.IGNORECASE,
)
_SHAPED = re.compile(
    r"(?<![\w-])(?:gh[opsru]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{20,}|hf_[a-zA-Z\d]{20,}"
    r"|sk-(?:[a-z]+-)*\w{20,}[\w-]*"
    r"|xox[abeoprs]-[\w-]{10,}|AIza[\w-]{35}|eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*)"
)
"""Tokens that are known by how they begin: of GitHub, GitLab, Hugging Face, OpenAI, Slack, Google; JSON's."""
_SECRET_NAMES = re.compile(
    r"pass(word|wd|phrase|$)|pwd|token|secret|sig(nature)?$|credential|auth|key|odbc_connect", re.IGNORECASE
)
_NO_SECRETS = {"viewStateShareKey"}
"""What the UI of MLflow calls the views that its links open."""
_VARIABLES = re.compile(
    r"(PASSWORD|PASSWD|PASSPHRASE|_PWD|_PASS|SECRET|TOKEN|CONNECTION_STRING"
    rf"|({_OF_KEYS.upper()})_?KEY)(_(?!FILE|PATH)|$)"
)


def mask(text: str, *words: str) -> str:
    """Mask the secrets in a text: `postgresql://ann:pw@host/db?token=x` -> `postgresql://ann:***@host/db?token=***`.

    Masked are passwords of addresses, up to the last `@`, since not every one is written as it should be;
    values of query parameters that are named like secrets; a lone user part (`https://token@host`), which is
    a token as a rule; what is set to a name like `db_password` or `--api-key`; and secrets of environment
    variables. `words`: addresses and words `key=value`, whose secrets are masked wherever they stand, those
    of addresses in part, too.
    """
    return _mask(text, _sort_longest_first(chain(_read_environment(), *map(_find_parts, words))))


def mask_all(texts: Iterable[str]) -> list[str]:
    """Mask the secrets in texts, see `mask`; the environment is read once for all of them."""
    secrets = _read_environment()
    return [_mask(text, secrets) for text in texts]


def mask_values(values: Mapping[str, str]) -> dict[str, str]:
    """Mask what settings, params or tags have as values, wholly where their names are those of secrets."""
    masked = zip(values, mask_all(values.values()), strict=True)
    return {name: HIDDEN if _IS_NAME.fullmatch(name) else value for name, value in masked}


def _sort_longest_first(secrets: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(secrets), key=lambda secret: (-len(secret), secret)))


def _mask(text: str, secrets: tuple[str, ...]) -> str:
    return _mask_short(text, secrets) if len(text) <= SHORT_LETTERS else _mask_anew(text, secrets)


@lru_cache(16_384)
def _mask_short(text: str, secrets: tuple[str, ...]) -> str:
    """Mask what comes again and again: the names, tags and values of a study's trials."""
    return _mask_anew(text, secrets)


def _mask_anew(text: str, secrets: tuple[str, ...]) -> str:
    if "://" in text:
        is_address = _ADDRESS.fullmatch(text)
        text = (_SECRET_OF_ADDRESS if is_address else _SECRET_OF_TEXT).sub(_hide_password, text)
        text = _LONE_USER.sub(rf"\g<scheme>{HIDDEN}@", text)
        text = (_QUERY_OF_ADDRESS if is_address else _QUERY_OF_TEXT).sub(_hide_value, text)
    text = _SHAPED.sub(HIDDEN, _ASSIGNED.sub(_hide_assigned, text))
    for secret in secrets:
        if secret in text:
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", HIDDEN, text)
    return text


def _hide_password(match: re.Match[str]) -> str:
    user = HIDDEN if "@" in match["user"] else match["user"]
    return f"{match['scheme']}{user}:{HIDDEN}@"


def _hide_assigned(match: re.Match[str]) -> str:
    mark = match["mark"] or ""
    return f"{match['key']}{mark}{HIDDEN}{mark}"


def _hide_value(match: re.Match[str]) -> str:
    is_secret = _SECRET_NAMES.search(match["name"]) and match["name"] not in _NO_SECRETS
    return f"{match['key']}{HIDDEN if is_secret else match['value']}"


def _read_environment() -> tuple[str, ...]:
    """Return the values of the variables that are named like secrets, such as MLFLOW_TRACKING_PASSWORD.

    Of addresses, such as DATABASE_URL, their passwords. The longest come first.
    """
    # What `os.environ` keeps: to read all of it by its own methods takes longer than to mask a text.
    variables: Mapping[bytes, bytes] = getattr(os.environ, "_data", os.environb)
    return _find_secrets(tuple(variables.items()))


@lru_cache(4)
def _find_secrets(variables: tuple[tuple[bytes, bytes], ...]) -> tuple[str, ...]:
    secrets = list[str]()
    for name, value in variables:
        if _VARIABLES.search(os.fsdecode(name).upper()):
            secrets.append(os.fsdecode(value))
        elif b"://" in value:
            secrets += _list_secrets(os.fsdecode(value))
    return _sort_longest_first(secret for secret in secrets if len(secret) >= MIN_LETTERS)


def _find_parts(word: str) -> Iterator[str]:
    """Yield the secrets of a word: of its address as written and as SQLAlchemy reads them, and parts."""
    assigned = (match[0].removeprefix(match["key"]).strip("\\'\"") for match in _ASSIGNED.finditer(word))
    yield from (value for value in assigned if len(value) >= MIN_LETTERS)
    if (match := _ADDRESS.search(word)) is None:
        return
    address = match["address"]
    secrets = _list_secrets(address) + _read_by_sqlalchemy(address)
    for secret in [*secrets, *map(unquote_plus, secrets)]:
        yield from (
            piece for piece in (secret, *re.split(r"[@/?#:]", secret)) if len(piece) >= MIN_PART_LETTERS
        )


def _list_secrets(address: str) -> list[str]:
    """List the password of an address, and the values of its query that are secrets, as written.

    Of a text with addresses in it: those of all of them.
    """
    is_address = _ADDRESS.fullmatch(address)
    passwords = (_SECRET_OF_ADDRESS if is_address else _SECRET_OF_TEXT).finditer(address)
    secrets = [match["secret"] for match in passwords]
    queries = (_QUERY_OF_ADDRESS if is_address else _QUERY_OF_TEXT).finditer(address)
    return secrets + [match["value"] for match in queries if _hide_value(match) != match[0]]


def _read_by_sqlalchemy(address: str) -> list[str]:
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        password = make_url(address).password
    except (ArgumentError, ValueError):
        return []
    return [str(password)] if password else []
