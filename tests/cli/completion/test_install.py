"""The script of a shell lies where it is found, and a start file names it once."""

from pathlib import Path

import pytest

from pipeline.cli import main
from pipeline.cli.completion.install import SCRIPTS, install_completion
from pipeline.errors import BadInput


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "ZDOTDIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SHELL", "/usr/bin/bash")
    return tmp_path


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_start_file_names_the_script_once(shell: str, home: Path) -> None:
    (home / f".{shell}rc").write_text("alias ll='ls -l'")
    for _ in range(2):
        assert install_completion([shell]).endswith(f"open a new {shell} to use it")
    script = home / ".local" / "share" / "fulcrum" / f"completion.{shell}"
    assert script.read_text() == SCRIPTS[shell]
    assert (home / f".{shell}rc").read_text() == f"alias ll='ls -l'\nsource \"{script}\"\n"


def test_fish_finds_it_by_itself(home: Path) -> None:
    install_completion(["fish"])
    assert (home / ".config" / "fish" / "completions" / "fulcrum.fish").read_text() == SCRIPTS["fish"]


def test_the_users_shell_is_the_default(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--install-completion"]) == 0
    assert "completion.bash is written" in capsys.readouterr().out
    assert (home / ".bashrc").exists()


@pytest.mark.parametrize("words", [["tcsh"], ["bash", "zsh"]])
def test_another_shell_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--install-completion", *words]) == 2
    assert "must be followed by bash, zsh, fish, got " in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_named(home: Path) -> None:
    (home / ".local").write_text("")
    with pytest.raises(BadInput, match=r"must be written, got .*\.local"):
        install_completion(["bash"])
