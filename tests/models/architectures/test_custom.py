"""A network of the user's own: trained, saved and served as any other; what is wrong with it in one line."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.backend import keras
from pipeline.errors import BadModel
from pipeline.models import keras_models
from pipeline.models.architectures import architecture_of
from pipeline.models.predictor import make_predictor
from pipeline.profiling.profile import count_flops
from pipeline.training.train import train
from pipeline.trial.network import check_trial
from tests.support import tiny

DATA = tiny.prepared(120)


def words(name: str) -> str:
    return f"model=custom model.build=tests.support.my_models:{name}"


def test_it_trains_and_its_saved_model_answers_the_same(tmp_path: Path) -> None:
    settings = tiny.told(f"{words('build')} train.epochs=8 optimizer.learning_rate=0.01 train.batch_size=8")
    *_, item = train(DATA, settings)
    assert item.engine == "graph"
    model = item.build_model()
    answers = make_predictor(model)(DATA.validation.features)
    # Batch normalisation: what was learned outside the gradients is part of the state, too.
    assert (answers.argmax(1) == DATA.validation.labels).mean() == item.curve.last.validation_accuracy > 0.6
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", compile=False)
    np.testing.assert_array_equal(make_predictor(loaded)(DATA.validation.features), answers)
    assert count_flops(model) == 2 * (20 * 6 + 6 * 3)


def test_settings_are_handed_to_it_and_the_seed_counts() -> None:
    one, same, other = (
        keras_models.draw_initial_weights(tiny.told(f"{words('build')} {more}"), DATA)
        for more in ("train.seed=1", "train.seed=1", "train.seed=2")
    )
    assert one[0].shape == (20, 6)
    np.testing.assert_array_equal(one[0], same[0])
    assert (one[0] != other[0]).any()


def test_code_is_hashed_by_its_file_or_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A helper beside the function counts, files of others do not."""
    monkeypatch.syspath_prepend(tmp_path)
    text, helper = "def build(*_): ...\n", "WIDTH = 3\n"
    hashes = {}
    for name, beside in (("own_a", helper), ("own_b", helper), ("own_c", "WIDTH = 4\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
        (tmp_path / name / "nets.py").write_text(text)
        (tmp_path / name / "sizes.py").write_text(beside)
        hashes[name] = hash_code(f"{name}.nets:build")
    assert hashes["own_a"] == hashes["own_b"] != hashes["own_c"]
    (tmp_path / "own_d.py").write_text(text)
    (tmp_path / "own_e.py").write_text(text)
    (tmp_path / "own_f.py").write_text(text + helper)
    alone = [hash_code(f"own_{letter}:build") for letter in "def"]
    assert alone[0] == alone[1] != alone[2]


def test_code_of_a_cell_is_hashed_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    hashes = []
    for width in (3, 3, 4):
        names = {"__name__": "__main__"}
        exec(f"def build(shape, classes, settings):\n    return {width}", names)
        monkeypatch.setattr("__main__.build_in_a_cell", names["build"], raising=False)
        hashes.append(hash_code("__main__:build_in_a_cell"))
    assert hashes[0] == hashes[1] != hashes[2]


def hash_code(build: str) -> str:
    model = tiny.told(f"model=custom model.build={build}").model
    return architecture_of(model).hash_code(model)


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("fails", "which failed (ValueError: not today)"),
        ("leaves", "which failed (SystemExit: not with me)"),
        ("nothing", "which returned NoneType"),
        ("with_softmax", "that ends with logits"),
        ("too_few", "one output for each of 3 classes"),
        ("other_shape", "for samples of shape (4, 5)"),
        ("absent", "AttributeError"),
        ("own_class", "return keras.Model(inputs, outputs)"),
        ("NUMBER", "which is int"),
    ],
)
def test_what_is_wrong_with_it_is_one_line_before_anything_runs(name: str, rule: str) -> None:
    with pytest.raises(BadModel) as caught:
        check_trial(DATA, tiny.told(words(name)))
    assert rule in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_module_that_is_not_there_is_one_line() -> None:
    with pytest.raises(BadModel, match=r"got no_such\.module:build \(ModuleNotFoundError: "):
        check_trial(DATA, tiny.told("model=custom model.build=no_such.module:build"))
