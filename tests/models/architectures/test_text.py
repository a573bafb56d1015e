"""A bag of embeddings."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.cli.compose import compose
from pipeline.data.preprocess import preprocess
from pipeline.errors import BadData
from pipeline.models import keras_models
from pipeline.models.predictor import make_predictor
from pipeline.training.train import train
from pipeline.trial.network import check_trial
from tests.support import places, tiny

DATA = tiny.prepared(120, shape=(6, 5))


def test_a_bag_of_embeddings_learns_which_words_tell(tmp_path: Path) -> None:
    root = places.text_folder(tmp_path / "data", rows=40)
    words = ["data=text_folder", f"data.path={root}", f"cache_dir={tmp_path / 'cache'}", "device=cpu"]
    more = ["model=text", "train.batch_size=8", "train.epochs=15", "optimizer.learning_rate=0.01"]
    settings = compose([*words, *more]).settings
    prepared = preprocess(settings)
    half = compose([*words, *more, "precision=mixed_bfloat16", "model.hidden=4"]).settings
    network = keras_models.build_network(half, prepared)  # whose table no step has to convert
    assert [network.get_layer(name).compute_dtype for name in ("embedding", "hidden_1")] == [
        "float32",
        "bfloat16",
    ]
    *_, item = train(prepared, settings)
    predict = make_predictor(item.build_model())
    assert (predict(prepared.test.samples).argmax(1) == prepared.test.labels).mean() > 0.9
    said = predict(np.array(["a lovely, great film", "boring and dull"], object)).argmax(1)
    assert [prepared.classes[guess] for guess in said] == ["good", "bad"]


def test_a_bag_of_embeddings_needs_texts() -> None:
    with pytest.raises(BadData, match=r"^model=text needs texts as tokens, got samples of shape \[6, 5\]"):
        check_trial(DATA, compose(["model=text", "train.batch_size=4", "device=cpu"]).settings)
