"""What importing TensorFlow and Keras does beside itself."""

import gc
import os
import platform
import subprocess
import sys
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


OTHER_KERAS = """
import os, sys
sys.path.insert(0, sys.argv[1])
from pipeline import backend
backend.check_process()
assert os.environ.get("KERAS_BACKEND") == (sys.argv[2] or None)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("named", "written"), [("no-such-backend", "tensorflow"), ("", "no-such-backend")])
def test_keras_computes_by_tensorflow_whatever_a_person_has_chosen_for_other_programs(
    tmp_path: Path, named: str, written: str
) -> None:
    (tmp_path / "keras.json").write_text(f'{{"backend": "{written}"}}')
    environ = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    environ |= {"KERAS_HOME": str(tmp_path)} | ({"KERAS_BACKEND": named} if named else {})
    root = str(Path(__file__).resolve().parents[1])
    subprocess.run([sys.executable, "-c", OTHER_KERAS, root, named], env=environ, check=True)


def test_a_keras_that_computes_by_another_backend_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend.keras.config, "backend", lambda: "jax")
    with pytest.raises(BadDevice, match="got jax, by which this process"):
        backend.check_process()


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


OPTION = "--xla_backend_extra_options=-unroll-full-max-count=32"


@pytest.mark.parametrize(
    ("flags", "all_flags"),
    [
        ("", OPTION),
        ("--xla_dump_to=/tmp/x", f"--xla_dump_to=/tmp/x {OPTION}"),
        (
            "--xla_backend_extra_options=-vector-width=8",
            "--xla_backend_extra_options=-unroll-full-max-count=32,-vector-width=8",
        ),
        ("--xla_backend_extra_options=-unroll-full-max-count=8", None),
        ("flags.txt", None),
        (OPTION, None),
    ],
)
def test_a_users_own_flags_of_xla_stay(flags: str, all_flags: str | None) -> None:
    """A process that another one starts reads what that one has set: nothing is added twice."""
    assert backend.add_xla_option(flags) == (flags if all_flags is None else all_flags)


def test_xla_takes_the_option() -> None:
    """XLA ends the process at one that it does not know."""
    if not Path("/proc/driver/nvidia").exists():
        assert backend.LONG_LOOPS in os.environ["XLA_FLAGS"]
    double = backend.tf.function(lambda x: 2 * x, jit_compile=True)
    assert float(double(backend.tf.constant(1.5))) == 3
