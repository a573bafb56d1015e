"""What importing TensorFlow and Keras does beside itself."""

import gc
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import backend

NAMELESS = """
import os, pwd, sys
def find_no_one(uid): raise KeyError(uid)
pwd.getpwuid = find_no_one
os.environ.pop("HOME", None)
os.environ.pop("KERAS_HOME", None)
sys.path.insert(0, sys.argv[1])
from pipeline import backend, tracking
"""


@pytest.mark.slow
def test_a_user_without_a_home_leaves_nothing_in_the_working_folder(tmp_path: Path) -> None:
    root = str(Path(__file__).resolve().parents[1])
    subprocess.run([sys.executable, "-c", NAMELESS, root], cwd=tmp_path, check=True)
    assert list(tmp_path.iterdir()) == []


def test_garbage_is_collected_after_an_import_as_before() -> None:
    for collects in (gc.enable, gc.disable):
        collects()
        try:
            before = gc.isenabled()
            with backend.without_collecting():
                assert not gc.isenabled()
            assert gc.isenabled() == before
        finally:
            gc.enable()
