"""Writes docs/reference/api.md from the docstrings: `python -m tools.api_reference`."""

import inspect
import re
from pathlib import Path

import fulcrum_ml

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "api.md"
HEAD = """\
# The library

<!-- Written by `python -m tools.api_reference` from the docstrings; a test holds it to be up to date. -->

`pip install .` brings the command `fulcrum` and the package `fulcrum_ml`; in a checkout it can be imported,
too. What stands here is meant to be used by other programs, the rest of the package is not.

```python
import fulcrum_ml as fulcrum

study = fulcrum.sweep(
    "data=digits train.epochs=5",
    space={"model.hidden": (16, 256, "log"), "optimizer": ["sgd", "adam"]},
    budget="30 s",
)
study.show()
print(study.best().command)  # or at_least(0.95), within(0.01), knee()
run = fulcrum.run("data=digits model.hidden=64")
```

Nothing is printed, and what goes wrong raises `FulcrumError`, whose text is one line: key, rule, value and
remedy. Runs and studies lie where those of the commands lie: where `MLFLOW_TRACKING_URI` says, else in
`mlflow.db` and `studies.db` of the checkout, or of the working folder where the package is installed. One
call runs at a time. A process that imports TensorFlow here first computes with one thread from then on.
"""
SECTION = re.compile(r"^(Args|Attributes|Raises|Returns):$", re.MULTILINE)


def write_page() -> str:
    names = sorted(fulcrum_ml.__all__, key=lambda name: (inspect.isclass(getattr(fulcrum_ml, name)), name))
    return "\n".join([HEAD, *(_describe(name, getattr(fulcrum_ml, name)) for name in names)])


def _describe(name: str, value: object) -> str:
    parts = [f"## `fulcrum.{name}`\n"]
    if not inspect.isclass(value):
        return "\n".join([*parts, f"```python\n{name}{_sign(value)}\n```\n", _format(value)])
    parts.append(_format(value))
    for member, found in vars(value).items():
        if member.startswith("_") or not (inspect.isfunction(found) or isinstance(found, property)):
            continue
        if isinstance(found, property):
            parts.append(f"### `.{member}`\n\n{_format(found)}")
        else:
            parts.append(f"### `.{member}{_sign(found)}`\n\n{_format(found)}")
    return "\n".join(parts)


def _sign(function: object) -> str:
    signature = str(inspect.signature(function))  # type: ignore[arg-type]
    signature = signature.replace("(self, ", "(").replace("(self)", "()")
    return re.sub(r"\b(?:pipeline|collections|typing)\.(?:\w+\.)*", "", signature)


def _format(value: object) -> str:
    """Format a docstring: its sections as lists."""
    text = inspect.getdoc(value) or ""
    head, *sections = SECTION.split(text)
    lines = [head.strip(), ""]
    for title, body in zip(sections[::2], sections[1::2], strict=True):
        entries = re.split(r"\n(?! )", inspect.cleandoc(body))
        lines += [f"{title}:", "", *map(_format_entry, entries), ""]
    return "\n".join(lines)


def _format_entry(entry: str) -> str:
    name, _, about = entry.partition(": ")
    return f"- `{name}`: {' '.join(about.split())}"


if __name__ == "__main__":
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(write_page())
