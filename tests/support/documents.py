"""What tests read in a document: its commands and its figures."""

import re
from pathlib import Path

FENCE = re.compile(r"```bash\n(.*?)```", re.DOTALL)


def list_commands(page: Path) -> list[str]:
    """List the commands of a page, in order."""
    blocks = FENCE.findall(page.read_text())
    return [line for block in blocks for line in block.splitlines() if line and not line.startswith("#")]


def list_figures(page: Path) -> list[str]:
    """List the numbers of a page outside its links, sorted: another language has another order."""
    text = re.sub(r"\]\([^)]*\)", "]", page.read_text())
    return sorted(re.findall(r"\d[\d.,]*\d|\d", text))
