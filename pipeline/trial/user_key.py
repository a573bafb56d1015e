"""One key of a training loop of the user's own: its type, and how a value is checked."""

import enum
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from pipeline.errors import BadSetting

OF_TRAIN = {"epochs": "train.epochs", "seed": "train.seed"}
"""Keys that every loop has, by the names that a function and a command line call them."""

FILLED = (*OF_TRAIN, "state")
"""What the settings of a function hold beside its own keys."""

NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


class Required(enum.Enum):
    """The default of a key that has none."""

    value_ = "required"


REQUIRED = Required.value_


@dataclass(frozen=True, slots=True, kw_only=True)
class UserKey:
    """One key: its type (None: any), its choices if any, whether null is allowed or a list of values.

    `length`: how many values a list has to have, None: any number.
    """

    name: str
    kind: type | None = None
    choices: tuple[Any, ...] = ()
    default: Any = REQUIRED
    nullable: bool = False
    is_list: bool = False
    length: int | None = None

    @property
    def rule(self) -> str:
        """Return what a value must be, in words."""
        if self.choices:
            text = f"one of {', '.join(map(_format_choice, self.choices))}"
        else:
            text = NAMES[self.kind] if self.kind else "a value"
        if self.is_list:
            text = f"a list{'' if self.length is None else f' of {self.length}'}, each {text}"
        return f"{text} or null" if self.nullable else text

    def check(self, value: Any, typed: str) -> Any:
        """Return a value as the key holds it. `typed`: as it stands on the command line.

        Raises:
            BadSetting: it breaks the rule.
        """
        if value is None and (self.nullable or not (self.kind or self.choices)):
            return None
        if self.is_list:
            if isinstance(value, list) and self.length in (None, len(value)):
                return [self._check_one(item, str(item), typed) for item in value]
            raise self._refuse(typed)
        return self._check_one(value, typed, typed)

    def _check_one(self, value: Any, text: str, typed: str) -> Any:
        if self.choices:
            fitting = [choice for choice in self.choices if _is_choice(value, text, choice)]
            if not fitting:
                names = list(map(_format_choice, self.choices))
                alike = [name for name in names if name.lower() == text.lower()]
                near = alike or get_close_matches(text, names, n=1, cutoff=0.5)
                raise self._refuse(typed, f"; did you mean {near[0]}?" if near else "")
            return fitting[0]
        if self.kind is str and not isinstance(value, list | dict):
            return value if isinstance(value, str) else text
        if self.kind is float and isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        if self.kind is None or type(value) is self.kind:
            return value
        raise self._refuse(typed)

    def _refuse(self, typed: str, remedy: str = "") -> BadSetting:
        remedy = remedy or f"; write {self.name}=..."
        return BadSetting(f"{self.name} must be {self.rule}, got {typed or 'nothing'}{remedy}")


def _is_choice(value: Any, text: str, choice: Any) -> bool:
    if isinstance(choice, str):
        return text == choice or value == choice
    return bool(value == choice and type(value) is type(choice))


def _format_choice(choice: Any) -> str:
    return str(choice).lower() if isinstance(choice, bool) or choice is None else str(choice)
