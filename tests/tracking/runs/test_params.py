"""What a run says of its command line."""

import pytest

from pipeline.cli.compose import compose
from pipeline.cli.sweep.plan import make_plan
from pipeline.tracking.runs.params import make_params, make_study_params


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("data=fsdd", "model=cnn", "optimizer=sgd", "augment=none"),
        ("data=csv", "data.path=x.csv", "data.label=y"),
        ("data=rt_polarity", "model=text"),
        ("data=image_folder", "data.path=x", "augment=shift", "schedule=cosine", "precision=mixed_float16"),
        ("data=audio_folder", "data.path=x", "model=cnn", "optimizer=sgd", "loss.label_smoothing=0.1"),
    ],
)
def test_a_run_has_the_params_that_can_matter(words: tuple[str, ...]) -> None:
    params = make_params(compose(words))
    assert len(params) <= 40
    always = {"data", "model", "optimizer", "optimizer.learning_rate", "train.epochs", "train.seed"}
    assert always <= params.keys()
    sounds = {"data=fsdd", "data=audio_folder"} & set(words)
    of_data = {"spectrogram": bool(sounds), "vocabulary": "model=text" in words}
    for group, wanted in of_data.items():
        assert any(key.startswith(f"{group}.") for key in params) == wanted
    assert not [key for key in params if key.startswith(("search", "tracking", "diagnose", "ui"))]


def test_what_was_typed_is_a_param_in_any_case() -> None:
    typed = ("device.pin=false", "augment.shift=0.0", "predict.output=a.csv", "evaluate.worst=3")
    assert set(make_params(compose(typed))) >= {word.partition("=")[0] for word in typed}


def test_a_study_has_how_it_searches_and_what_was_typed() -> None:
    plan = make_plan(["search=quick", "model.hidden=8,16", "optimizer=adam", "train.epochs=3"])
    params = make_study_params(plan.command_line)
    assert (params["model.hidden"], params["optimizer"], params["train.epochs"]) == ("8,16", "adam", "3")
    assert params["search.sampler"] == "frontier"
    assert "model.layers" not in params
    assert len(params) <= 40
