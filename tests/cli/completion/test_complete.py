"""A word is completed from what conf/ and the commands have."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.cli import help
from pipeline.cli.completion.complete import FLAGS, complete_line
from tests.conftest import CHECKOUT


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("fulcrum stu", ["studies"]),
        ("fulcrum --v", ["--version"]),
        ("fulcrum run model=c", ["model=cnn", "model=custom"]),
        ("fulcrum run data=digits model=ml", ["model=mlp"]),
        ("fulcrum run opt", ["optimizer.", "optimizer="]),
        ("fulcrum run model.hid", ["model.hidden="]),
        ("fulcrum run train.from", ["train.from="]),
        ("fulcrum run engine=gr", ["engine=graph"]),
        ("fulcrum run optimizer.nesterov=", ["optimizer.nesterov=false", "optimizer.nesterov=true"]),
        ("fulcrum sweep search.sampler=q", ["search.sampler=qmc"]),
        ("fulcrum run data.path=", []),
        ("fulcrum run trial=no=", []),
        ("fulcrum frontier --k", ["--knee"]),
        ("fulcrum nonsense mod", []),
        ("fulcrum --install-completion z", ["zsh"]),
    ],
)
def test_a_word_becomes_what_it_may(line: str, words: list[str]) -> None:
    assert complete_line(line) == words


def test_nothing_typed_lists_the_commands_and_then_the_groups() -> None:
    assert set(help.COMMANDS) <= set(complete_line("fulcrum "))
    words = complete_line("fulcrum run ")
    assert {f"{group}=" for group in ("data", "model", "optimizer", "experiment")} <= set(words)
    assert all(re.fullmatch(r"\w+[=.]", word) for word in words)


def test_flags_are_those_that_the_commands_know() -> None:
    text = (CHECKOUT / "pipeline" / "cli" / "frontier" / "command.py").read_text()
    assert set(FLAGS["frontier"]) == set(re.findall(r'add_argument\("(--[a-z-]+)"', text))


def test_bash_gets_the_words_without_hydra_or_tensorflow(tmp_path: Path) -> None:
    from pipeline.cli.completion.install import BASH

    code = (
        "import sys; from pipeline.cli import main; main(sys.argv[1:]);"
        "print(*[name for name in ('hydra', 'tensorflow', 'yaml') if name in sys.modules], file=sys.stderr)"
    )
    script = (
        f'fulcrum() {{ {sys.executable} -c "{code}" "$@" 2>>{tmp_path}/heavy; }}\n{BASH}\n'
        "COMP_LINE='fulcrum run model=c'; COMP_POINT=${#COMP_LINE}; _fulcrum; echo \"${COMPREPLY[*]}\"\n"
    )
    done = subprocess.run(["bash", "-c", script], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["cnn", "custom"], done.stderr
    assert (tmp_path / "heavy").read_text().strip() == ""
