"""Modules that are executed when somebody uses them."""

import importlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.processes import late_modules


def test_a_late_module_is_executed_when_a_name_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("late_one", "late_two"):
        (tmp_path / f"{name}.py").write_text("raised = []\nraised.append(1)\nvalue = len(raised)\n")
    monkeypatch.syspath_prepend(tmp_path)
    late_modules.put_off("late_one", "late_two")
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
    late_modules.put_off("late_slow")
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
    late_modules.put_off("late_broken")
    late = importlib.import_module("late_broken")
    for _ in range(2):
        with pytest.raises(ImportError, match="no_such_module"):
            assert late.value
