"""What importing TensorFlow and Keras does beside itself."""

import gc
import importlib
import os
import platform
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline import backend
from pipeline.errors import BadDevice
from pipeline.hardware import device
from pipeline.settings.measuring import Device, DeviceKind

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


LATE = """
import sys
sys.path.insert(0, sys.argv[1])
from pipeline.backend import keras
late = {"sklearn", "matplotlib", "scipy.stats"}
assert not late & set(sys.modules), late & set(sys.modules)
assert keras.wrappers.SKLearnClassifier.fit and "plot_image_gallery" in dir(keras.visualization)
assert late <= set(sys.modules)
"""


@pytest.mark.slow
def test_parts_of_keras_that_are_not_used_are_not_imported() -> None:
    subprocess.run([sys.executable, "-c", LATE, str(Path(__file__).resolve().parents[1])], check=True)


def test_a_late_module_is_executed_when_a_name_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("late_one", "late_two"):
        (tmp_path / f"{name}.py").write_text("raised = []\nraised.append(1)\nvalue = len(raised)\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(backend, "UNUSED", ("late_one", "late_two"))
    with backend.without_unused_parts():
        one, two = map(importlib.import_module, ("late_one", "late_two"))
    assert importlib.import_module("late_one") is one
    assert Path(str(one.__file__)) == tmp_path / "late_one.py"
    assert not hasattr(one, "__wrapped__")
    assert not vars(one).keys() & {"value", "raised"}
    assert (one.value, one.raised) == (1, [1])
    with pytest.raises(AttributeError, match="late_one"):
        assert one.nothing
    assert "value" in dir(two)
    assert two.value == 1


def test_threads_that_look_into_a_late_module_at_once_wait_for_all_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "late_slow.py").write_text("from late_gate import gate\ngate.wait()\nvalue = object()\n")
    (tmp_path / "late_gate.py").write_text("import threading\ngate = threading.Event()\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(backend, "UNUSED", ("late_slow",))
    with backend.without_unused_parts():
        late = importlib.import_module("late_slow")
    with ThreadPoolExecutor(2) as pool:
        looks = [pool.submit(lambda: late.value) for _ in range(2)]
        importlib.import_module("late_gate").gate.set()
        assert looks[0].result() is looks[1].result()


def test_a_late_module_that_cannot_be_executed_says_so_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "late_broken.py").write_text("import no_such_module\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(backend, "UNUSED", ("late_broken",))
    with backend.without_unused_parts():
        late = importlib.import_module("late_broken")
    for _ in range(2):
        with pytest.raises(ImportError, match="no_such_module"):
            assert late.value


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


def test_a_process_forked_after_tensorflow_had_begun_is_refused_and_would_wait_for_ever() -> None:
    backend.check_process()
    backend.tf.zeros(1)
    if (child := os.fork()) == 0:
        try:
            device.claim_device(Device(DeviceKind.cpu, 1, False, 1))
        except BadDevice:
            os._exit(2)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2
    backend.check_process()


X86 = platform.machine().lower() in ("x86_64", "amd64")
KERNELS = """
import sys
sys.path.insert(0, sys.argv[1])
from pipeline.backend import tf
from tensorflow.python.util import _pywrap_util_port as port
print(port.IsMklEnabled())
"""


@pytest.mark.slow
@pytest.mark.skipif(not X86, reason="oneDNN is for x86-64")
@pytest.mark.parametrize(("chosen", "answer"), [(None, "True"), ("0", "False")])
def test_convolutions_run_by_onednn_unless_a_user_says_no(chosen: str | None, answer: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "TF_ENABLE_ONEDNN_OPTS"}
    if chosen:
        environment["TF_ENABLE_ONEDNN_OPTS"] = chosen
    root = str(Path(__file__).resolve().parents[1])
    command = [sys.executable, "-c", KERNELS, root]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert done.stdout.split() == [answer]
