"""`--cfg job`: the composed settings as YAML, for every command, and nothing is done."""

from pathlib import Path

import pytest
import yaml

from pipeline.cli import help, main


def show(capsys: pytest.CaptureFixture[str], *words: str) -> dict:  # type: ignore[type-arg]
    assert main(words) == 0
    return yaml.safe_load(capsys.readouterr().out)  # type: ignore[no-any-return]


@pytest.mark.parametrize("command", help.COMMANDS)
def test_every_command_shows_what_it_is_composed_to(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'own' / 'mlflow.db'}")
    shown = show(capsys, command, "optimizer=sgd", "train.epochs=7", "--cfg", "job")
    assert shown["train"]["epochs"] == 7
    assert shown["optimizer"]["momentum"] is not None
    assert shown["precision"]["policy"] == "float32"
    assert not (tmp_path / "own").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("--cfg", "job", "model.hidden=7"),  # as a program of Hydra's has no commands
        ("-c", "job", "model.hidden=7"),
        ("run", "-c", "job", "model.hidden=7"),
        ("run", "model.hidden=7", "--cfg=job"),
        ("frontier", "--at-least", "95%", "--json", "--cfg", "job", "model.hidden=7"),
        ("sweep", "model.hidden=7", "optimizer=sgd,adam", "--dry-run", "--cfg", "job"),
        ("run", "--multirun", "model.hidden=7", "train.epochs=1,2", "--cfg", "job"),
    ],
)
def test_it_stands_anywhere_among_the_words(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert show(capsys, *words)["model"]["hidden"] == 7


def test_what_a_sweep_varies_is_its_space(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("search=quick", "model.hidden=8,16", "train.epochs=2,4", "--cfg", "job")
    space = show(capsys, "sweep", *words)["search"]["space"]
    assert space[-2:] == ["model.hidden=8,16", "train.epochs=2,4"]
    assert len([line for line in space if line.startswith("model.hidden=")]) == 1
    assert "optimizer=sgd,adam" in space


def test_secrets_are_masked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "search.storage=postgresql://ann:secret-word@host/s", "--cfg", "job"]) == 0
    printed = capsys.readouterr().out
    assert "postgresql://ann:***@host/s" in printed
    assert "secret-word" not in printed


def test_the_secret_of_an_address_that_an_advice_cuts_into_pieces_is_masked(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["run", "data.drop=[a]", "x", "postgres://ann:secret/word@h/db", "--cfg", "job"]) == 2
    told = capsys.readouterr().err
    assert "data.drop=[a,x,postgres:,ann:***" in told
    assert "secret" not in told
    assert "word@" not in told


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("run", "--cfg", "hydra"), "--cfg must be job, got hydra"),
        (("run", "--cfg", "all"), "--cfg must be job, got all"),
        (("run", "--cfg"), "--cfg must be job, got nothing"),
        (("run", "--cfg", "job", "modle.hidden=3"), "did you mean model.hidden=3?"),
        (("sweep", "--cfg", "job", "model.hidden=0"), "model.hidden must be >= 1"),
        (("swep", "--cfg", "job"), "did you mean sweep?"),
    ],
)
def test_a_mistake_is_told_as_without_it(
    words: tuple[str, ...], part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    printed = capsys.readouterr()
    assert part in printed.err
    assert (printed.out, printed.err.count("\n")) == ("", 1)
