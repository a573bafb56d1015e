"""What is said where ONNX cannot be had; that it answers as the others: `test_litert`."""

import logging
from types import SimpleNamespace

import pytest

from pipeline.errors import BadSetting
from pipeline.models import litert, onnx_file
from pipeline.settings.measuring import Runtime
from tests.support import tiny


def test_without_the_packages_the_line_says_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_file, "find_spec", lambda name: None if name != "onnx" else name)
    with pytest.raises(BadSetting) as caught:
        litert.check_runtime(Runtime.onnx, tiny.prepared())
    assert str(caught.value).endswith(
        "got no onnxruntime and no tf2onnx; install them: pip install -r requirements-onnx.txt"
    )


def test_what_the_converter_raises_is_one_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Converter:
        @staticmethod
        def from_function(*_: object, **__: object) -> None:
            logging.warning("only float32 is rewritten")
            raise ValueError("no such operation\n  many lines")

    monkeypatch.setattr(onnx_file, "import_module", lambda _: Converter)
    model = litert.tf.keras.Sequential([litert.tf.keras.layers.Input((3,)), litert.tf.keras.layers.Dense(1)])
    with pytest.raises(BadSetting, match=r"got onnx \(no such operation\); use profile.runtime=compiled$"):
        onnx_file.export_file(model)
    assert not caplog.records
    assert logging.root.manager.disable == logging.NOTSET


def test_a_file_that_the_runtime_refuses_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("float16 meets bfloat16\n  many lines")

    runtime = SimpleNamespace(SessionOptions=SimpleNamespace, InferenceSession=refuse)
    monkeypatch.setattr(onnx_file, "find_spec", lambda name: name)
    monkeypatch.setattr(onnx_file, "import_module", lambda _: runtime)
    with pytest.raises(
        BadSetting, match=r"got onnx \(float16 meets bfloat16\); use profile.runtime=compiled$"
    ):
        onnx_file.load_file(b"")
