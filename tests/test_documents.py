"""What the documents say of the tree is so: each path named exists, each link leads somewhere."""

import re
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted(
    {CHECKOUT / name for name in ("README.md", "README.zh.md", "DESIGN.md", "CONTRIBUTING.md")}
    | set((CHECKOUT / "docs").glob("**/*.md"))
    | set((CHECKOUT / "pipeline").rglob("README.md"))
)
SUFFIXES = ("py", "yaml", "yml", "md", "ipynb", "toml", "txt", "png", "jsonl")
PATH = re.compile(rf"`([\w./-]+(?:\.(?:{'|'.join(SUFFIXES)})|/))`")
CODE = re.compile(r"```.*?```", re.DOTALL)
LINK = re.compile(r"\]\(([^)#:\s]+)\)")
# Written while the product runs, or a name that a reader fills in.
NOT_IN_THE_TREE = {
    "mlartifacts/",
    "mlruns/",
    "runs:/",
    "models:/",
    "state.npz",
    "model_card.md",
    "pictures/subgroups.png",
    "pictures/column_importance.png",
    "mnist/",
    "fsdd/",
    "rt-polarity/",
}

WRITTEN_BY_THE_SITE = {CHECKOUT / "docs" / "reference" / name for name in ("settings.md", "commands.md")}
"""See tools/docs_site.py; tests/integration/test_docs.py builds it."""


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_each_path_named_exists(document: Path) -> None:
    text = document.read_text()
    names = set(PATH.findall(text)) - NOT_IN_THE_TREE
    absent = sorted(name for name in names if not exists(name, document))
    assert absent == [], f"{document.name} names what is not there"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_each_link_leads_somewhere(document: Path) -> None:
    text = CODE.sub("", document.read_text())
    links = {(document.parent / link).resolve() for link in LINK.findall(text)}
    assert [str(link) for link in links - WRITTEN_BY_THE_SITE if not link.exists()] == []


def exists(name: str, document: Path) -> bool:
    """Return whether the path exists below the checkout, the package, or the document's own folder."""
    if re.search(r"[A-Z]{3,}", name) and not name.endswith(".md"):
        return True  # a placeholder such as GROUP/OPTION.yaml
    if "/" not in name and any(document.parent.rglob(name)):
        return True
    return any((base / name).exists() for base in (CHECKOUT, CHECKOUT / "pipeline", document.parent))


def test_the_map_names_every_room() -> None:
    tree = subprocess.run(
        ["git", "ls-files", "pipeline"], cwd=CHECKOUT, capture_output=True, text=True, check=True
    ).stdout.split()
    rooms = {path.split("/")[1] for path in tree} - {"__init__.py", "__main__.py", "README.md", "py.typed"}
    plan = (CHECKOUT / "DESIGN.md").read_text().split("## Map")[1].split("```")[1]
    missing = sorted(room for room in rooms if not re.search(rf"\b{room.removesuffix('.py')}\b", plan))
    assert missing == [], "the map in DESIGN.md leaves out rooms"


def test_the_reference_of_the_library_is_that_of_its_docstrings() -> None:
    from tools import api_reference

    assert api_reference.PAGE.read_text() == api_reference.write_page(), "python -m tools.api_reference"
