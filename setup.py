"""The wheel: `pipeline/` under the name that others import, `fulcrum_ml`, with `conf/` inside.

`pipeline` is too general a name to bring into another's environment, so that the name is exchanged while the
package is built, in imports and wherever else a module is named; the command that is shown becomes `fulcrum`.
In a checkout, and with `pip install --editable .`, both names can be imported and nothing is exchanged.
"""

import re
import sys
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

NAME = "fulcrum_ml"
NEW_NAMES = (
    (re.compile(r"\bpython -m pipeline\b"), "fulcrum"),
    (re.compile(r"(?<![\w.-])pipeline(?=[./]\w)"), NAME),
    (re.compile(r"(?<=\bfrom )pipeline(?= import\b)"), NAME),
)


def rename(source: str) -> str:
    """Return the text of a module as the wheel has it."""
    for pattern, name in NEW_NAMES:
        source = pattern.sub(name, source)
    return source


class BuildRenamed(build_py):
    """Copies modules as `rename` returns them."""

    def build_module(self, module: str, module_file: str, package: str) -> tuple[str, bool]:
        path, is_new = super().build_module(module, module_file, package)
        Path(path).write_text(rename(Path(module_file).read_text()))
        return path, is_new


def list_packages() -> dict[str, object]:
    if "editable_wheel" in sys.argv:
        return {"packages": find_packages(include=["pipeline*", f"{NAME}*"])}
    return {
        "packages": [NAME, f"{NAME}.conf", *(f"{NAME}.{room}" for room in find_packages("pipeline"))],
        "package_dir": {NAME: "pipeline", f"{NAME}.conf": "conf"},
        "package_data": {NAME: ["py.typed"], f"{NAME}.reports": ["assets/*"], f"{NAME}.conf": ["**/*.yaml"]},
        "exclude_package_data": {f"{NAME}.conf": ["experiment/saved_by_*.yaml"]},
        "cmdclass": {"build_py": BuildRenamed},
    }


if __name__ == "__main__":
    setup(**list_packages())
