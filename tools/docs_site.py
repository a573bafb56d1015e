"""Hooks of mkdocs: pages on settings and commands, from conf/; links that leave docs/ become names.

`mkdocs.yml` names this file. Nothing of what it writes is kept in the checkout, so it is never out of date.
"""

import re
from typing import TYPE_CHECKING, Any

from pipeline.cli import help

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


def write_settings() -> str:
    """Return the page of all settings: a section for each group, a table for each of its options."""
    lines = [
        "# Settings",
        "",
        "Every key can be set on the command line, `group=option` or `group.key=value`, and searched by a "
        "sweep. The first option of a group is its default. The same text in a terminal: "
        "`python -m pipeline --help GROUP`.",
    ]
    for group in help.read_defaults():
        lines += ["", f"## {group}"]
        for option in help.list_options(group):
            lines += ["", f"**`{group}={option.name}`** {_escape(option.about)}"]
            if option.settings:
                lines += ["", "| setting | default | meaning |", "|---|---|---|"]
                lines += [f"| {_write_row(group, line)} |" for line in option.settings]
    return "\n".join(lines) + "\n"


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


def _write_row(group: str, line: str) -> str:
    setting, _, comment = line.partition(" #")
    key, _, value = setting.strip().partition(":")
    if setting.startswith((" ", "-")):  # an element of the list above
        return f" | `{_escape(setting.strip())}` | {_escape(comment.strip())}"
    default = value.strip()
    shown = "must be set" if default == "???" else f"`{_escape(default)}`" if default else ""
    return f"`{group}.{key}` | {shown} | {_escape(comment.strip())}"


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
