"""Each extra of `pyproject.toml` is compiled into a file of its own, with the pins of the product."""

import re
import tomllib
from pathlib import Path

import pytest

from tools import sbom

CHECKOUT = Path(__file__).resolve().parents[2]
EXTRAS = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
BY_HAND = {"bench"}  # without hashes, see its head: the loop of CONTRIBUTING.md leaves it out


def read_pins(extra: str) -> dict[str, set[str]]:
    """Return the versions of each package in the file of an extra; platforms may have different ones."""
    name = f"requirements-{extra}.txt" if extra else "requirements.txt"
    pins: dict[str, set[str]] = {}
    for package, version in re.findall(r"^([\w.-]+)==([^\s;]+)", (CHECKOUT / name).read_text(), re.MULTILINE):
        pins.setdefault(normalise(package), set()).add(version)
    return pins


def normalise(name: str) -> str:
    """Return the name of a package as registries compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_each_extra_has_its_file_and_each_file_its_extra() -> None:
    files = {path.stem.removeprefix("requirements-") for path in CHECKOUT.glob("requirements-*.txt")}
    assert files == EXTRAS.keys()


def test_the_loop_that_compiles_names_all_of_them() -> None:
    (loop,) = re.findall(r'for extra in "" (.*?); do', (CHECKOUT / "CONTRIBUTING.md").read_text())
    assert set(loop.split()) == EXTRAS.keys() - BY_HAND


@pytest.mark.parametrize("extra", sorted(EXTRAS))
def test_a_file_has_the_packages_of_its_extra_and_the_versions_of_the_product(extra: str) -> None:
    pins = read_pins(extra)
    wanted = {normalise(re.split(r"[\[<>=~! ]", requirement)[0]) for requirement in EXTRAS[extra]}
    assert wanted <= pins.keys()
    differing = {name for name, versions in read_pins("").items() if not versions & pins.get(name, versions)}
    assert not differing, (
        f"requirements-{extra}.txt has other versions than requirements.txt; compile it anew"
    )


def test_each_pin_is_in_a_file_that_is_audited() -> None:
    (files,) = re.findall(r"for file in (.*?); do", (CHECKOUT / ".github/workflows/audit.yml").read_text())
    extras = [re.sub(r"^requirements-?|\.txt$", "", file) for file in files.split()]
    audited = {package for extra in extras for package in read_pins(extra)}
    for extra in EXTRAS.keys() - BY_HAND:
        assert read_pins(extra).keys() <= audited, f"requirements-{extra}.txt"


def test_the_bill_of_materials_has_every_pin() -> None:
    components = sbom.make_bill(sbom.list_files(CHECKOUT))["components"]
    billed = {(component["name"], component["version"]) for component in components}
    for extra in ("", *EXTRAS.keys() - BY_HAND):
        pins = {(name, version) for name, versions in read_pins(extra).items() for version in versions}
        assert pins <= billed, f"requirements-{extra}.txt"
    for file in ("Makefile", ".github/workflows/audit.yml"):  # which name no files, so all are taken
        assert re.search(r"tools\.sbom --output sbom\.json$", (CHECKOUT / file).read_text(), re.MULTILINE)
