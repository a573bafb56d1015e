"""Hooks of mkdocs: pages on settings and commands, from conf/; links that leave docs/ become names.

`mkdocs.yml` names this file. Nothing of what it writes is kept in the checkout, so it is never out of date.
"""

import re
from typing import TYPE_CHECKING, Any

from pipeline.cli import help
from tools.settings_page import write_settings

if TYPE_CHECKING:
    from mkdocs.structure.files import Files

LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!https?:|#)([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: "Files", config: Any) -> "Files":
    """Add the generated pages."""
    from mkdocs.structure.files import File

    files.append(File.generated(config, "reference/settings.md", content=write_settings()))
    files.append(File.generated(config, "reference/commands.md", content=write_commands()))
    return files


def on_page_markdown(markdown: str, page: Any, files: "Files", **_: Any) -> str:
    """Write a link to a file outside docs/ as the name of that file, since the site has docs/ alone."""
    folder = page.file.src_uri.rpartition("/")[0]

    def replace(match: re.Match[str]) -> str:
        target = _resolve(folder, match[2])
        if target is not None and files.get_file_from_path(target):
            return match[0]
        return f"{match[1]} (`{match[2].replace('../', '')}` in the checkout)"

    return LINK.sub(replace, markdown)


def write_commands() -> str:
    """Return the page of the commands."""
    rows = [f"| `{name}` | {_escape(about)} |" for name, about in help.COMMANDS.items()]
    head = [
        "# Commands",
        "",
        "`python -m pipeline COMMAND [KEY=VALUE ...]`",
        "",
        "| command | does |",
        "|---|---|",
    ]
    return "\n".join([*head, *rows]) + "\n"


def _escape(text: str) -> str:
    return text.replace("|", "\\|")


def _resolve(folder: str, link: str) -> str | None:
    """Return the path below docs/ of a link on a page in `folder`; None where it lies outside."""
    parts = [part for part in folder.split("/") if part]
    for part in link.split("/"):
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part != ".":
            parts.append(part)
    return "/".join(parts)
