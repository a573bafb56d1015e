"""The check of one setting: its error gives key, rule, value and remedy in one line."""

from pipeline.errors import BadSetting


def require(holds: bool, key: str, rule: str, value: object) -> None:
    """Raise BadSetting unless `holds`."""
    if not holds:
        raise BadSetting(f"{key} must be {rule}, got {value}; set it in conf/ or as {key}=...")


MAX_NAME_BYTES = 240
"""A run of MLflow in any database may have 250 letters; a file's name 255 bytes, with its ending."""


def require_name(key: str, name: str | None, barred: str = "") -> None:
    """Raise BadSetting unless `name` is None or can be a folder, a row of any database and a title.

    `barred`: characters that the name may not have, because its user gives them a meaning.
    """
    if name is None:
        return
    valid = (
        name.strip() == name
        and name not in {"", ".", ".."}
        and name.isprintable()  # neither control characters nor bytes that are no text
        and len(name.encode()) <= MAX_NAME_BYTES
        and not set(name) & set(barred)
    )
    without = f" without any of {' '.join(barred)}," if barred else ""
    rule = f"a name of at most {MAX_NAME_BYTES} bytes,{without} or null"
    require(valid, key, rule, shorten_name(name))


def shorten_name(name: str) -> str:
    """Return a name as one line of a message shows it."""
    text = name if name.isprintable() else repr(name)
    return (text if len(text) <= 60 else f"{text[:57]}...") or "nothing"
