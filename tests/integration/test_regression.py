"""The page docs/how-to/regression.md, from its first to its last command."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT, Run

PAGE = CHECKOUT / "docs" / "how-to" / "regression.md"
FENCE = re.compile(r"```bash\n(.*?)```", re.DOTALL)


@pytest.mark.slow(seconds=25)
def test_the_commands_of_the_page(fulcrum: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    commands = [line for block in FENCE.findall(PAGE.read_text()) for line in block.splitlines()]
    make, *pipeline = map(shlex.split, commands)
    subprocess.run([sys.executable, *make[1:]], cwd=tmp_path, check=True)
    said = []
    for words in pipeline:
        told = [word.replace("diabetes.csv", str(tmp_path / "diabetes.csv")) for word in words[3:]]
        done = fulcrum(*told)
        assert done.returncode == 0, f"{words}: {done.stderr}"
        said.append(done.stdout)
    for text in said[:3]:
        assert re.search(r"R2 +0\.\d{4} validation, -?0\.\d{4} test", text)
        assert "always answering the training" in text
        assert "confusion" not in text
    assert "R2" in said[3]
    assert "%" not in re.sub(r"±[\d.]+%", "", said[4].splitlines()[0])
