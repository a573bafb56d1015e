"""The wheel works in another's environment, away from the checkout, under a name that nobody else has."""

import importlib.util
import os
import re
import site
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT

SMALL = ["search=smoke", "search.trials=2", "model.hidden=8,16", "optimizer=sgd", "train.epochs=2"]
Command = Callable[..., subprocess.CompletedProcess[str]]


def load_setup() -> Callable[[str], str]:
    spec = importlib.util.spec_from_file_location("setup_of_the_wheel", CHECKOUT / "setup.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    rename: Callable[[str], str] = module.rename
    return rename


def test_no_module_of_the_wheel_names_the_one_of_the_checkout() -> None:
    rename = load_setup()
    for path in (CHECKOUT / "pipeline").rglob("*.py"):
        lines = rename(path.read_text()).splitlines()
        left = [line.strip() for line in lines if re.search(r"\bpipeline\b", line)]
        assert left == [], f"{path.relative_to(CHECKOUT)}; setup.py exchanges `pipeline.NAME` and commands"


@pytest.mark.parametrize(
    ("line", "renamed"),
    [
        ("from pipeline.cli import main", "from fulcrum_ml.cli import main"),
        ("    from pipeline import signals", "    from fulcrum_ml import signals"),
        ('["pipeline.search.workers.job"]', '["fulcrum_ml.search.workers.job"]'),
        ("`pipeline/cli/` begins it", "`fulcrum_ml/cli/` begins it"),
        ("begin one with: python -m pipeline sweep", "begin one with: fulcrum sweep"),
        ("make_pipeline.run, sklearn.pipeline.Pipeline", "make_pipeline.run, sklearn.pipeline.Pipeline"),
        ("the end of a pipeline. Then", "the end of a pipeline. Then"),
    ],
)
def test_modules_and_commands_are_renamed_and_no_other_words(line: str, renamed: str) -> None:
    assert load_setup()(line) == renamed


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel, built from the source archive; it finds the libraries of this one."""
    folder = tmp_path_factory.mktemp("wheel")
    uv = [Path(sys.executable).with_name("uv"), "build", "--quiet", "--offline", "--no-build-isolation"]
    subprocess.run([*uv, "--python", sys.executable, "-o", folder, CHECKOUT], check=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "env"], check=True)
    (packages,) = (folder / "env" / "lib").glob("python3*/site-packages")
    (packages / "libraries.pth").write_text(site.getsitepackages()[0])
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", folder / "env/bin/python"]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", *folder.glob("*.whl")], check=True)
    return folder / "env" / "bin"


@pytest.fixture
def command(installed: Path, tmp_path: Path) -> Command:
    """Run the installed command in an empty folder, with stores of its own by default."""
    hidden = ("MLFLOW_", "FULCRUM_", "PYTHON")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    env = {**kept, "FULCRUM_CACHE": str(tmp_path / "cache")}

    def run(name: str, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [installed / name, *words],
            cwd=tmp_path, env=env, capture_output=True, text=True, timeout=500, check=False,
        )  # fmt: skip

    return run


@pytest.mark.slow(seconds=40)
def test_it_runs_sweeps_and_shows_a_frontier_away_from_the_checkout(command: Command, tmp_path: Path) -> None:
    assert re.fullmatch(r"fulcrum \d+\.\d+\.\d+\n", command("fulcrum", "--version").stdout)
    mistake = command("fulcrum", "run", "model.hiden=8")
    assert (mistake.returncode, mistake.stderr) == (
        2,
        "error: model has no setting hiden, got 8; did you mean model.hidden=8?\n",
    )
    swept = command("fulcrum", "sweep", *SMALL)
    assert swept.returncode == 0, swept.stderr
    assert "fulcrum ui, then" in swept.stdout
    shown = command("fulcrum", "frontier", "--at-least", "0.2")
    line = shown.stdout.splitlines()[-1]
    assert line.startswith("fulcrum run data=digits "), shown.stderr
    again = command(*line.split(), "tracking.experiment=again")
    assert again.returncode == 0, again.stderr
    assert {path.name for path in tmp_path.iterdir()} >= {"mlflow.db", "mlartifacts", "studies.db"}


@pytest.mark.slow
def test_only_its_own_name_can_be_imported(command: Command) -> None:
    code = "import fulcrum_ml, importlib.util as u; print(fulcrum_ml.__file__, u.find_spec('pipeline'))"
    done = command("python", "-c", code)
    assert re.fullmatch(r"\S+/env/lib/\S+/fulcrum_ml/__init__\.py None\n", done.stdout), done.stderr
