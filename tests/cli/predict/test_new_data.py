"""The kind of new data, found by the model and by what lies there; labels need not be named."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.cli.compose import compose
from pipeline.cli.predict.new_data import choose_kind, complete_words
from pipeline.models.serving.description import ModelDescription
from pipeline.settings.command_line import Overrides
from pipeline.settings.tables import Csv
from tests.models.serving.test_inputs import TABLE
from tests.models.serving.test_requests import ARRAYS, IMAGES, SOUNDS, TEXTS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with new data of each kind."""
    root = tmp_path_factory.mktemp("new")
    for name, inside in (
        ("texts", "a.txt"),
        ("images", "a.png"),
        ("arrays", "x.npy"),
        ("idx", "t10k-ubyte.gz"),
    ):
        (root / name).mkdir()
        (root / name / inside).touch()
    Image.fromarray(np.zeros((4, 6), np.uint8)).save(root / "a.png")
    (root / "list.csv").write_text("path\na.png\n")
    (root / "new.csv").write_text("text\nit is fine\n")
    return root


@pytest.mark.parametrize(
    ("description", "of_run", "path", "kind"),
    [
        (TEXTS, "rt_polarity", "new.csv", "csv"),
        (TEXTS, "rt_polarity", "new.txt", "csv"),
        (TEXTS, "csv", "new.txt", "csv"),
        (TEXTS, "csv", "texts", "text_folder"),
        (TEXTS, "text_folder", "new.txt", "text_folder"),
        (TEXTS, "text_folder", "new.zip", "text_folder"),
        (TEXTS, "text_folder", "new.csv", "csv"),
        (TEXTS, "datasets", "new.txt", "text_folder"),
        (TEXTS, "datasets", "new.parquet", "csv"),
        (TABLE, "datasets", "new.csv", "csv"),
        (SOUNDS, "fsdd", "new.wav", "audio_folder"),
        (IMAGES, "mnist", "images", "image_folder"),
        (IMAGES, "mnist", "list.csv", "image_folder"),
        (IMAGES, "mnist", "new.npz", "arrays"),
        (IMAGES, "mnist", "idx", "idx"),
        (IMAGES, "idx", "new.gz", "idx"),
        (ARRAYS, "digits", "arrays", "arrays"),
        (ARRAYS, "arrays", "a.png", "image_folder"),
        (IMAGES, "arrays", "images", "image_folder"),
        (IMAGES, "arrays", "texts", "arrays"),
        (ARRAYS, "arrays", "new", "arrays"),
    ],
)
def test_the_kind_suits_the_model_and_the_file(
    folder: Path, description: ModelDescription, of_run: str, path: str, kind: str
) -> None:
    assert choose_kind(description, of_run, folder / path) == kind


def test_new_texts_of_a_model_of_a_built_in_set_need_no_label(folder: Path) -> None:
    of_run = Overrides(["data=rt_polarity", "data.fraction=0.5", "model.hidden=4"])
    for typed in ((), ("data=csv",)):
        words = complete_words(
            of_run, "rt_polarity", Overrides([*typed, f"data.path={folder}/new.csv"]), TEXTS
        )
        data = compose(words).settings.data
        assert isinstance(data, Csv)
        assert (data.label, data.fraction) == ("label", 1.0)


def test_words_of_the_run_stay_for_data_of_its_kind(folder: Path) -> None:
    of_run = Overrides(["data=csv", "data.path=old.csv", "data.label=stars", "data.text=review"])
    for typed in ((), ("data=csv",)):
        words = complete_words(of_run, "csv", Overrides([*typed, f"data.path={folder}/new.csv"]), TEXTS)
        data = compose(words).settings.data
        assert isinstance(data, Csv)
        assert (data.path, data.label, data.text) == (f"{folder}/new.csv", "stars", "review")
    assert complete_words(of_run, "csv", Overrides(), replace(TEXTS, text="review")) == of_run
