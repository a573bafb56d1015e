"""The documentation site builds without a warning, and what its pages tell to type works."""

import json
import re
import shlex
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from mkdocs.commands.build import build
from mkdocs.config import load_config

from pipeline.cli import help, schema
from pipeline.cli.completion.complete import FLAGS, TYPED_NAMES
from pipeline.cli.compose import compose
from pipeline.cli.frontier import command as frontier
from pipeline.cli.frontier import output
from pipeline.errors import BadSetting
from tests.conftest import CHECKOUT, Run
from tests.support.documents import list_commands, list_figures
from tools import docs_site, settings_page

DOCS = CHECKOUT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
FULCRUM = "python -m pipeline "


def test_the_site_builds_without_a_warning_and_has_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_MKDOCS_2_WARNING", "1")
    build(load_config(str(CHECKOUT / "mkdocs.yml"), strict=True, site_dir=str(tmp_path)))
    page = (tmp_path / "reference" / "settings.html").read_text()
    assert "optimizer.learning_rate" in page
    assert "fonts.googleapis" not in page
    # With --quiet mkdocs counts no warning, so that --strict would let all of them pass.
    assert "mkdocs build --strict\n" in (CHECKOUT / "Makefile").read_text()


def test_the_page_of_settings_has_every_option_and_key_and_tables_that_hold_together() -> None:
    text = settings_page.write_settings()
    for group in help.read_defaults():
        assert f"## {group}\n" in text
        for option in help.list_options(group):
            assert f"**`{group}={option.name}`**" in text
    keys = {TYPED_NAMES.get(key, key) for key, rule in schema.list_rules().items() if rule != "a group"}
    shown = set(re.findall(r"^\| `([\w.]+)` \|", text, re.MULTILINE))
    assert keys == shown | {"privacy.kind", "cluster.kind", "device.kind", "precision.policy"} & keys
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {6}
    assert "| `optimizer.momentum` | `0.0` | a number >= 0 and < 1 | `optimizer.momentum=0.9` |" in text


def test_the_examples_on_the_page_of_settings_keep_their_rules() -> None:
    for group in set(help.read_defaults()) - {"experiment"}:
        for option in help.list_options(group):
            settings = settings_page.make_default(group, option.name)
            rules = settings_page.find_rules(group, option.name)
            typed: dict[str, Any] = {}
            for key, rule in rules.items():  # one of several names is one by construction
                name = key.partition(".")[2]
                word = settings_page.find_example(group, option.name, name, rule, "").partition("=")[2]
                typed |= {name: read_word(word)} if word and not rule.startswith("one of") else {}
            typed.pop("pretrained", None)  # its rule names the word that belongs to it
            for name, value in typed.items():  # alone, or with what belongs to it
                told = find_refusal(settings, {name: value})
                is_own = told.startswith(f"{group}.{name} ")
                assert not is_own or not find_refusal(settings, typed), told


def read_word(word: str) -> object:
    (typed,) = shlex.split(word)
    return typed if typed[0] in ",;#" else yaml.safe_load(typed)  # YAML's own marks


def find_refusal(settings: Any, typed: dict[str, object]) -> str:
    try:
        replace(settings, **typed)
    except BadSetting as error:
        return str(error)
    return ""


def test_the_page_of_commands_has_every_option() -> None:
    text = docs_site.write_commands()
    options = {(name, flag) for name, flags in FLAGS.items() for flag in flags}
    rows = [(of, option) for option, of, _ in docs_site.OPTIONS]
    assert [
        each for each in options if not any(each[0] in of and f"{each[1]} " in f"{row} " for of, row in rows)
    ] == []
    assert all(f"| `{name}` |" in text for name in help.COMMANDS)


def test_commands_of_a_page_are_run_by_a_test() -> None:
    """Each page with commands, or its folder, is named in a test file that runs them."""
    tests = "\n".join(path.read_text() for path in (CHECKOUT / "tests").rglob("*.py"))
    untested = [
        str(page.relative_to(DOCS))
        for page in PAGES
        if list_commands(page) and page.name not in tests and f'"{page.parent.name}").glob(' not in tests
    ]
    assert untested == []


def test_messages_on_the_page_of_symptoms_are_those_of_the_program() -> None:
    rows = re.findall(r"^\| (.*?) \|", (DOCS / "troubleshooting.md").read_text(), re.MULTILINE)
    messages = [text for row in rows for text in re.findall(r"`([^`]+)`", row)]
    sources = [*(CHECKOUT / "pipeline").rglob("*.py"), CHECKOUT / "tools" / "install"]
    said = re.sub(r'"\n\s*f?"', "", "\n".join(path.read_text() for path in sources))
    others = {"No module named pipeline", "hydra", "Could not find Conda executable", "quality", "knee"}
    others |= {"models:/STUDY@knee", "data/columns.csv"}
    others |= {"no confirmed point reaches"}  # put together of its words: see cli/frontier/test_command
    known = [re.sub(r"NAME", r"{name}", text) for text in messages if text not in others]
    assert len(known) >= 8
    assert [text for text in known if text not in said] == []


def test_the_mistakes_on_the_page_of_pictures_are_told_so(fulcrum: Run) -> None:
    rows = re.findall(
        r"^\| `(run .*?)` \| .* \| `+(.*?)`+ \|$", (DOCS / "pictures.md").read_text(), re.MULTILINE
    )
    assert len(rows) == 5
    for typed, told in rows:
        done = fulcrum(*typed.split())
        assert done.returncode == 2
        assert told.removeprefix("...") in done.stderr, typed


def test_the_commands_of_a_job_are_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (DOCS / "how-to" / "continuous-integration.md").read_text()
    (job,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    steps = [step["run"] for step in yaml.safe_load(job)["jobs"]["search"]["steps"] if "run" in step]
    install, sweep, export, check = (shlex.split(step) for step in steps)
    assert (CHECKOUT / install[0]).is_file()
    settings = compose(sweep[4:]).settings.search
    assert (settings.study, settings.budget) == ("ci", "16trials")
    options, rest = frontier.parse(export[4:-2])
    assert (options.study, options.within, options.json, rest) == ("ci", 1.0, True, [])
    monkeypatch.chdir(tmp_path)
    for accuracy, fails in ((0.9, False), (0.8, True)):
        Path(export[-1]).write_text(json.dumps({"frontier": [{"mean_accuracy": accuracy}]}))
        with pytest.raises(AssertionError) if fails else nullcontext():
            exec(check[2])
    assert '"mean_accuracy"' in Path(output.__file__).read_text()


def test_a_translation_has_the_commands_and_figures_of_the_english_page() -> None:
    translated = sorted((DOCS / "zh").glob("*.md"))
    assert translated
    for page in translated:
        assert list_commands(page) == list_commands(DOCS / page.name), page.name
        assert list_figures(page) == list_figures(DOCS / page.name), page.name


@pytest.mark.slow(seconds=60)
def test_the_tutorial_from_its_first_to_its_last_command(
    fulcrum: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    said = {}
    assert set(list_commands(DOCS / "how-to" / "read-a-diagnosis.md")) < set(
        list_commands(DOCS / "tutorial.md")
    )
    for command in list_commands(DOCS / "tutorial.md"):
        done = fulcrum(*shlex.split(command.removeprefix(FULCRUM)))
        assert done.returncode == 0, f"{command}: {done.stderr}"
        said[command] = done.stdout
    assert "8 trials" in said[f"{FULCRUM}frontier"]
    assert said[f"{FULCRUM}frontier --csv"].count("\n") >= 8
