"""Write a bill of materials of what is pinned: CycloneDX 1.5 in JSON.

    python -m tools.sbom [--output sbom.json] [requirements.txt ...]

Without files it is the bill of all of them here. Packages have their versions and hashes from the pins, their
licences from the environment, where they are installed. The same pins give the same text: it has no date and
no random number.
"""

import argparse
import hashlib
import json
import re
import sys
import uuid
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any

from pipeline import __version__

PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)")
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
NAME = "fulcrum-ml"
RIVALS = "requirements-bench.txt"
"""Pins without hashes, which no user installs."""


def list_files(folder: Path = Path()) -> list[Path]:
    """List the files of pins: that of the product and those of its extras, without the rivals'."""
    return sorted(path for path in folder.glob("requirements*.txt") if path.name != RIVALS)


def read_pins(path: Path) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield name, version and SHA-256 hashes of each pin of a requirements file.

    Raises:
        ValueError: a pin has no hash.
    """
    for block in re.split(r"\n(?=\S)", path.read_text()):
        if pin := PIN.match(block):
            hashes = tuple(HASH.findall(block))
            if not hashes:
                raise ValueError(
                    f"{path}: {pin[1]}=={pin[2]} must have a hash; compile the pins with --generate-hashes"
                )
            yield re.sub(r"[-_.]+", "-", pin[1]).lower(), pin[2], hashes


def describe_package(name: str, version: str, hashes: Sequence[str]) -> dict[str, Any]:
    """Return the component of one package; its hashes are those of its files on the index."""
    address = f"pkg:pypi/{name}@{version}"
    files = [
        {
            "type": "distribution",
            "url": f"https://pypi.org/project/{name}/{version}/",
            "hashes": [make_hash(each)],
        }
        for each in sorted(hashes)
    ]
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": address,
        "name": name,
        "version": version,
        "purl": address,
        "externalReferences": files,
    }
    if licence := find_licence(name):
        component["licenses"] = [{"license": {"name": licence}}]
    return component


def make_hash(content: str) -> dict[str, str]:
    return {"alg": "SHA-256", "content": content}


def find_licence(name: str) -> str:
    """Return the licence that an installed package names, "" for none."""
    try:
        about = metadata(name)
    except PackageNotFoundError:
        return ""
    for key in ("License-Expression", "License"):
        if (text := (about.get(key) or "").strip()) and "\n" not in text and len(text) <= 100:
            return text
    classifiers = about.get_all("Classifier") or ()
    return next((each.rpartition(" :: ")[2] for each in classifiers if each.startswith("License ::")), "")


def make_bill(paths: Sequence[Path]) -> dict[str, Any]:
    """Return the bill of all pins of these files."""
    pins = {(name, version): hashes for path in paths for name, version, hashes in read_pins(path)}
    own = f"pkg:pypi/{NAME}@{__version__}"
    components = [describe_package(*pin, hashes) for pin, hashes in sorted(pins.items())]
    digest = hashlib.sha256(json.dumps(components, sort_keys=True).encode()).hexdigest()
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.UUID(digest[:32], version=5)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": own,
                "name": NAME,
                "version": __version__,
                "purl": own,
            }
        },
        "components": components,
        "dependencies": [{"ref": own, "dependsOn": [component["bom-ref"] for component in components]}],
    }


def main(words: Sequence[str] | None = None) -> int:
    """Write the bill; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("requirements", nargs="*", type=Path, default=list_files())
    parser.add_argument("--output", type=Path, help="a file; without it, the bill is printed")
    typed = parser.parse_args(words)
    try:
        text = json.dumps(make_bill(typed.requirements), indent=2) + "\n"
    except (OSError, ValueError) as error:
        print(f"requirements must be pinned with hashes, got: {error}", file=sys.stderr)
        return 2
    if typed.output is None:
        sys.stdout.write(text)
    else:
        typed.output.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
