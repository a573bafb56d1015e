"""The check of one setting: its error gives key, rule, value and remedy in one line."""

from pipeline.errors import BadSetting


def require(holds: bool, key: str, rule: str, value: object) -> None:
    """Raise BadSetting unless `holds`."""
    if not holds:
        raise BadSetting(f"{key} must be {rule}, got {value}; set it in conf/ or as {key}=...")
