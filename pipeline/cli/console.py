"""The console of rich as all commands use it: as wide as the terminal, stable without one, or plain ASCII."""

from typing import Any

import rich.console
from rich.text import Text

from pipeline.output import is_plain, spell_in_ascii

PIPED_WIDTH = 120
"""Columns where the output is no terminal, whatever terminal the command was typed in."""


class Console(rich.console.Console):
    """A console that does not colour numbers, and spells signs before tables are measured."""

    def __init__(self, **options: Any) -> None:
        """Make a console of standard output, or as `options` of rich say; `:x:` is no picture in it."""
        super().__init__(highlight=False, emoji=False, **options)
        if not self.is_terminal and "width" not in options:
            self.width = PIPED_WIDTH

    @property
    def is_animated(self) -> bool:
        """Return whether lines can be drawn anew: on a terminal that is not dumb."""
        return self.is_terminal and not self.is_dumb_terminal

    def print_line(self, text: str, style: str | None = None) -> None:
        """Print a text as it is, which a command has to be: `data.drop=[id]` would be read as markup."""
        self.print(text, style=style, markup=False, soft_wrap=True)

    def render_str(self, text: str, **options: Any) -> Text:
        """Return the text with its styles, in ASCII where the terminal knows no more."""
        return super().render_str(spell_in_ascii(text) if is_plain(self.file) else text, **options)
