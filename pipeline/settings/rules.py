"""The check of one setting: its error gives key, rule, value and remedy in one line."""

import re
from pathlib import PurePath

from pipeline.errors import BadSetting


def require(holds: bool, key: str, rule: str, value: object) -> None:
    """Raise BadSetting unless `holds`; a key in capitals is a variable of the environment."""
    if not holds:
        remedy = "unset it, or set it to one" if key.isupper() else f"set it in conf/ or as {key}=..."
        raise BadSetting(f"{key} must be {rule}, got {value}; {remedy}")


FUNCTION = re.compile(r"[\w.]+:\w+")


def require_function(key: str, name: str) -> None:
    """Raise BadSetting unless `name` says what to import, as package.module:function."""
    if not FUNCTION.fullmatch(name):
        remedy = suggest_function(name) or f"set it in conf/ or as {key}=..."
        raise BadSetting(f"{key} must be package.module:function, got {name}; {remedy}")


def suggest_function(name: str) -> str:
    """Suggest what to write for a function whose file was named instead of its module; "" for others."""
    path, _, function = name.rpartition(":") if ":" in name else name.rpartition(".")
    file = PurePath(path.removesuffix(".py"))
    folder = file.parent if file.is_absolute() or ".." in file.parts else PurePath()
    module = ".".join(file.relative_to(folder).parts)
    if not function.isidentifier() or not file.name.strip(".") or f"{module}:{function}" == name:
        return ""
    if not all(part.isidentifier() for part in module.split(".")):
        importable = re.sub(r"\W", "_", file.name)
        return f"rename {file.name} to a name that Python can import, as {importable}"
    where = f"start in {folder} and " if folder.parts else ""
    return f"{where}write {module}:{function}"


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
    rule = f"a name of at most {MAX_NAME_BYTES} bytes,{without} or {'unset' if key.isupper() else 'null'}"
    require(valid, key, rule, shorten_name(name))


def shorten_name(name: str) -> str:
    """Return a name as one line of a message shows it."""
    text = name if name.isprintable() else repr(name)
    return (text if len(text) <= 60 else f"{text[:57]}...") or "nothing"
