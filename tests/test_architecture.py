"""Imports point down only, and heavy libraries stay where they belong."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1] / "pipeline"

# From the top of the house to the ground; modules of one floor may know each other.
FLOORS = [
    {"__main__"},
    {"cli"},
    {"study_end", "journal"},
    {"search", "study_record"},
    {"proposer", "workers", "tracking"},
    {"outcomes"},
    {"study", "views", "walk_view", "recorded"},
    {"pages"},
    {"storages"},
    {"trial", "jobs", "bench", "walk_plots"},
    {"importance", "walk"},
    {"pictures"},
    {
        "stages",
        "plots",
        "plots_text",
        "plots_tiles",
        "study_plots",
        "study_page",
        "study_note",
        "registry",
        "store",
    },
    {"drawing"},
    {"ablation", "keras_ablation", "ceilings"},
    {"continuing"},
    {"loops", "fitting"},
    {
        "engine",
        "inputs",
        "checkpoints",
        "updates",
        "streams",
        "augment",
        "layers",
        "models",
        "networks",
        "front_layers",
        "custom",
        "meter",
        "export",
        "contention",
        "cores",
        "energy",
    },
    {"contention", "cores", "energy"},
    {"rows", "scaling", "ngrams", "shifts"},
    {"sources", "prepared"},
    {"results", "pruning", "label_places", "attempts"},
    {"chances", "remedies"},
    {"sampler", "diagnosis", "evidence"},
    {"proposal", "breakdown", "roofline"},
    {"outlook"},
    {"observed"},
    {"believed", "acquisition", "learned"},
    {"space", "surrogate"},
    {"frontier"},
    {"dimensions", "work"},
    {"measures", "settings", "masking", "wording", "palette", "data_kinds"},
    {"stopping", "rules", "raw", "fronts", "quietly"},
    {"errors"},
]
ALLOWED = {
    "hydra": {"cli"},
    "omegaconf": {"cli"},
    "mlflow": {
        "tracking",
        "store",
        "registry",
        "study_record",
        "study_end",
        "pages",
        "views",
        "walk_view",
        "recorded",
        "journal",
    },
    "tensorflow": {"quietly"},
    "rich": {"cli"},
    "matplotlib": {"drawing", "plots", "plots_text", "plots_tiles", "study_plots", "walk_plots"},
    "plotly": {"study_page"},
    "optuna": {"search", "study", "storages", "outcomes", "proposer", "sampler", "learned"},
}
FILES = sorted(ROOT.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def floor(name: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if name in rooms)


def imports(path: Path) -> Iterator[str]:
    """Dotted names of all imports at any depth, save those for types alone."""
    tree = ast.parse(path.read_text())
    typed = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and getattr(block.test, "id", "") == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if id(node) in typed:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path: Path) -> None:
    if path == ROOT / "__init__.py":
        return
    for name in imports(path):
        if name.startswith("pipeline."):
            other = name.split(".")[1]
            assert floor(room(path)) <= floor(other), f"{path.name} imports {name}, which stands above it"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_heavy_libraries_stay_in_their_rooms(path: Path) -> None:
    for name in imports(path):
        rooms = ALLOWED.get(name.split(".")[0])
        assert rooms is None or room(path) in rooms, f"{path.name} imports {name}"


def test_every_room_has_its_floor() -> None:
    rooms = {room(path) for path in FILES} - {"__init__"}
    assert rooms <= set().union(*FLOORS), f"give {rooms - set().union(*FLOORS)} a floor"
