"""What to type instead: the end of a message, from its semicolon on."""

import re
import shlex
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Advice:
    """What to type: words for `run`, or with `is_search` for `sweep`; none: leave it out, for a reason.

    `lead`: what is not here; `note`: what one should know, or the reason.
    """

    words: tuple[str, ...] = ()
    is_search: bool = False
    note: str = ""
    lead: str = ""

    def format(self) -> str:
        """Return the end of a message, from its semicolon on."""
        if not self.words:
            return f"; leave it out: {self.note}"
        typed, note = shlex.join(self.words), f" ({self.note})" if self.note else ""
        if self.lead:
            return f"; {self.lead}, write {typed}{note}"
        if self.is_search:
            return f"; write {typed} with sweep{note}"
        return f"; write {typed}{note}" if note else f"; did you mean {typed}?"


def plain(name: str) -> str:
    """Return a name without capitals and signs between its words, to compare it."""
    return re.sub(r"[\s_.-]", "", name).lower()
