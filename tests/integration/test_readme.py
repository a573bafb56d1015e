"""Every command in the README and the pages it was cut from works, and what they say of the tree is true."""

import os
import re
import shlex
import subprocess
import sys
from html import escape
from pathlib import Path

import pytest

from pipeline.cli import help
from pipeline.settings import addresses
from pipeline.tracking import mlflow_store
from tests.cli.frontier.test_command import CURVES, outcome, write_study
from tests.conftest import CHECKOUT, Run
from tests.support.documents import list_commands, list_figures

README = (CHECKOUT / "README.md").read_text()
DOCS = CHECKOUT / "docs"
PAGES = (
    CHECKOUT / "README.md",
    DOCS / "how-to" / "commands.md",
    DOCS / "how-to" / "search.md",
    DOCS / "explanation" / "single-point.md",
)
COMMANDS = [line for page in PAGES for line in list_commands(page)]
ENVIRONMENT = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


IN_PROCESS = "python -m pipeline "
SLOW = [pytest.mark.slow(seconds=25)]
"""`mlflow run` is a process with a process; the rest trains as a user would."""
LONG = ("mlflow run", f"{IN_PROCESS}run", f"{IN_PROCESS}sweep", f"{IN_PROCESS}diagnose")
LONG += (f"{IN_PROCESS}profile",)
OF_THE_TUTORIAL = {line for line in list_commands(DOCS / "tutorial.md") if line.startswith(LONG)}
"""What `test_docs` runs with the tutorial, from its first to its last command."""


def train_a_model(fulcrum: Run) -> str:
    """Return the run of a small model: no other test need have left one in this store."""
    done = fulcrum("train", "experiment=smoke", "train.epochs=1")
    assert done.returncode == 0, done.stderr
    client = mlflow_store.open_store()
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(experiments, "tags.stage = 'train'", order_by=["attributes.start_time DESC"])
    return str(runs[0].info.run_id)


def run(command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        shlex.split(command),
        cwd=CHECKOUT,
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.fixture
def own_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store whose newest study has a frontier that bends, whatever other tests left in theirs."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    write_study(addresses.make_study_address(), "readme", *map(outcome, CURVES))


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(line, marks=SLOW if line.startswith(LONG) else [])
        for line in COMMANDS
        if line.startswith(("python ", "mlflow run")) and line not in OF_THE_TUTORIAL
    ],
)
def test_a_pipeline_command_works(command: str, request: pytest.FixtureRequest, fulcrum: Run) -> None:
    if "data=mnist" in command:
        request.getfixturevalue("data_dir")
    if " frontier" in command:
        request.getfixturevalue("own_study")
    if "RUN_ID" in command:
        command = command.replace("RUN_ID", train_a_model(fulcrum))
    is_own = command.startswith(IN_PROCESS)
    done = fulcrum(*shlex.split(command.removeprefix(IN_PROCESS))) if is_own else run(command)
    assert done.returncode == 0, done.stderr
    assert "/#/experiments/" in done.stdout or " frontier" in command


@pytest.mark.parametrize("command", [line for line in COMMANDS if line.startswith("make ")])
def test_a_make_command_has_its_target(command: str) -> None:
    """Their recipes call what the other tests run; `make test` cannot run inside itself."""
    done = run(command.replace("make ", "make --dry-run ", 1))
    assert done.returncode == 0, done.stderr


def test_no_other_kind_of_command_goes_untested() -> None:
    served = [line for line in COMMANDS if line.startswith("mlflow models serve")]  # see test_end_to_end
    tested = [line for line in COMMANDS if line.startswith(("python ", "mlflow run", "make "))]
    assert sorted(served + tested) == sorted(COMMANDS)


def test_the_table_of_options_is_complete() -> None:
    rows = (DOCS / "reference" / "options.md").read_text().splitlines()
    for group, default in help.read_defaults().items():
        folder = CHECKOUT / "conf" / group
        # test_diagnose saves an experiment for a moment, perhaps in this very one.
        options = {path.stem for path in folder.glob("*.yaml") if not path.stem.startswith("saved_by_")}
        if len(options) > 1:
            row = next(line for line in rows if f"`{group}=`" in line)
            for option in options:
                assert option in row, f"{group}={option} is missing"
            assert default == "null" or f"{default}*" in row


def test_the_map_names_what_is_there() -> None:
    map_ = (CHECKOUT / "DESIGN.md").read_text().split("## Map")[1].split("```")[1]
    for name in re.findall(r"(\w+\.py|\w+/)", map_):
        found = list((CHECKOUT / "pipeline").rglob(name.rstrip("/"))) + list(CHECKOUT.glob(name.rstrip("/")))
        assert found, f"{name} is not there"


def strip_links(text: str) -> str:
    return re.sub(r"\]\([^)]+\)", "]", text)


def test_it_is_short_and_begins_with_what_a_person_sees() -> None:
    """One screen: what it is, a picture, three commands; then what one gets, and links."""
    first_screen, *_ = README.split("\n## Guides")
    assert len(first_screen.splitlines()) <= 38
    assert max(map(len, re.findall(r"^- .*", strip_links(first_screen), re.MULTILINE))) <= 125  # a line each
    head, *_ = README.split("\n## ")
    assert [Path(name).name for name in re.findall(r'<img src="([^"]+)"', head)] == [
        "terminal.svg",
        "page.png",
    ]
    (block,) = re.findall(r"```bash\n(.*?)```", head, re.DOTALL)
    assert len(block.splitlines()) == 3
    film = (DOCS / "terminal.svg").read_text()
    assert [line for line in block.splitlines() if f">{escape(line)}<" not in film] == [], "tools.recording"


def test_its_translation_has_its_commands_figures_and_links() -> None:
    translation = CHECKOUT / "README.zh.md"
    assert list_commands(translation) == list_commands(CHECKOUT / "README.md")
    assert list_figures(translation) == list_figures(CHECKOUT / "README.md")
    links = [set(re.findall(r"\]\(([^)]+)\)", text)) for text in (README, translation.read_text())]
    assert links[0] ^ links[1] == {"README.zh.md", "README.md"}
