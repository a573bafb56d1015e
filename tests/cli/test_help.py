"""`--help` tells everything that conf/ holds, and needs no library for it."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import __version__
from pipeline.cli import help, main
from pipeline.cli.schema import list_rules

CONF = Path(help.CONF)


def test_help_names_every_option_and_setting() -> None:
    text = help.format_help(help.ALL)
    saved = "saved_by_"  # test_diagnose saves an experiment for a moment, perhaps in this very one
    for path in (path for path in CONF.glob("*/*.yaml") if not path.stem.startswith(saved)):
        assert f"{path.parent.name}={path.stem}" in text
    for key in list_rules():
        if "." in key and key.partition(".")[0] != "claim":
            assert f"{key}:" in text
    assert text.count("python -m pipeline ") >= 3
    assert max(map(len, text.splitlines())) <= 80


def test_help_marks_the_defaults() -> None:
    assert "optimizer=   adam* sgd" in help.format_help("run")
    assert "optimizer=adam*" in help.format_help("optimizer")
    assert "optimizer=sgd*" not in help.format_help("optimizer")


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["help"]])
def test_help_fits_a_screen_and_says_where_the_rest_is(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 48
    assert max(map(len, lines)) <= 80
    assert "--help GROUP" in lines[-1]


@pytest.mark.parametrize("topic", ["optimizer", "optimizer.momentum"])
def test_help_on_a_group_has_its_settings_alone(topic: str) -> None:
    text = help.format_help(topic)
    assert "optimizer.momentum:" in text
    assert "model.hidden" not in text


def test_a_name_of_a_command_and_of_a_group_gives_both() -> None:
    text = help.format_help("train")
    assert text.startswith("Usage: python -m pipeline train")
    assert "train.epochs:" in text


def test_help_imports_neither_hydra_nor_tensorflow() -> None:
    code = (
        "import sys; from pipeline.cli import main; main(['run', '--help']);"
        "print([name for name in ('hydra', 'tensorflow', 'mlflow') if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert done.stdout.startswith("Usage: python -m pipeline run [KEY=VALUE ...]")


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"fulcrum {__version__}\n"


def test_no_words_print_the_help_and_fail(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "Usage:" in capsys.readouterr().out


def test_an_unknown_command_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trian"]) == 2
    assert "did you mean train?" in capsys.readouterr().err
