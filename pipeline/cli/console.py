"""The console of rich as all commands use it: as wide as the terminal, stable without one, or plain ASCII."""

from typing import Any

import rich.console
from rich.table import Table
from rich.text import Text

from pipeline.output import is_plain, spell_in_ascii

PIPED_WIDTH = 120
"""Columns where the output is no terminal, whatever terminal the command was typed in."""


LEAST_NAME, GAP = 12, 2
"""Columns in which a name can be read, and those between two columns of a table."""


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

    def print_table(self, table: Table) -> None:
        """Print a table; where its figures have no room beside each other, each row in words: none is cut.

        Columns that may not be wrapped hold figures; the others are folded. Cells are texts with markup.
        """
        columns = [(str(column.header), list(map(str, column.cells))) for column in table.columns]
        widths = [
            max(Text.from_markup(text).cell_len for text in (heading, *cells)) for heading, cells in columns
        ]
        needed = sum(
            (width if column.no_wrap else min(width, LEAST_NAME)) + GAP
            for column, width in zip(table.columns, widths, strict=True)
        )
        if needed - GAP <= self.width:
            self.print(table)
            return
        for row in zip(*(cells for _, cells in columns), strict=True):
            pairs = zip((heading for heading, _ in columns), row, strict=True)
            self.print(", ".join(f"{heading} {cell.strip()}".strip() for heading, cell in pairs if cell))

    def render_str(self, text: str, **options: Any) -> Text:
        """Return the text with its styles, in ASCII where the terminal knows no more."""
        return super().render_str(spell_in_ascii(text) if is_plain(self.file) else text, **options)
