"""What importing TensorFlow and Keras does beside itself."""

import subprocess
import sys
from pathlib import Path

import pytest

NAMELESS = """
import os, pwd, sys
def find_no_one(uid): raise KeyError(uid)
pwd.getpwuid = find_no_one
os.environ.pop("HOME", None)
os.environ.pop("KERAS_HOME", None)
sys.path.insert(0, sys.argv[1])
from pipeline import backend
"""


@pytest.mark.slow
def test_a_user_without_a_home_leaves_nothing_in_the_working_folder(tmp_path: Path) -> None:
    root = str(Path(__file__).resolve().parents[1])
    subprocess.run([sys.executable, "-c", NAMELESS, root], cwd=tmp_path, check=True)
    assert list(tmp_path.iterdir()) == []
