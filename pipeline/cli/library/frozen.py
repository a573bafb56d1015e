"""A dictionary that nobody changes."""

from typing import Any, NoReturn, TypeVar

Value = TypeVar("Value")


class FrozenDict(dict[str, Value]):
    """A dictionary that cannot be changed and so has a hash; it is copied and stored as others are."""

    def _refuse(self, *_values: Any, **_more: Any) -> NoReturn:
        raise TypeError("what is on record cannot be changed; dict(...) makes a copy that can be")

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _refuse

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self),)
