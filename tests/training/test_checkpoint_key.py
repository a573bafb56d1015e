"""What decides whether a training may go on from a state, and what does not."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.evaluation.evaluate import shift_splits
from pipeline.hardware.device import ClaimedDevice
from pipeline.models.architectures.custom import CustomArchitecture
from pipeline.training import checkpoint_key
from pipeline.training.checkpoint_key import compute_key, get_keyed_path
from tests.support import tiny

DATA = tiny.prepared()
CUSTOM = "model=custom model.build=tests.support.my_models:build"


def key(words: str = "") -> str:
    return compute_key(DATA, tiny.told(words))


@pytest.mark.parametrize(
    "words",
    [
        "model.hidden=7",
        "model.activation=tanh",
        "optimizer.learning_rate=0.02",
        "optimizer=sgd",
        "schedule=cosine",
        "train.batch_size=8",
        "train.seed=1",
        "train.patience=3",
        "train.keep=least_loss",
        "precision=float64",
        "augment=shift",
        "loss.label_smoothing=0.1",
        "privacy=dp_sgd",
        "train.adversarial=fgsm",
        "search.objective=accuracy_under_attack evaluate.attack=fgsm",
        "search.objectives=[accuracy,cost,accuracy_under_attack] evaluate.attack=fgsm",
        "engine=keras",
        "engine=graph",
    ],
)
def test_what_changes_the_curve_changes_the_key(words: str) -> None:
    assert key(words) != key()


@pytest.mark.parametrize(
    "words",
    [
        "engine=xla",  # what auto chooses here
        "train.epochs=9",
        "privacy.clip_norm=2",  # without privacy
        "search.trials=3",
        "pruning=none",
        "profile.repeats=10",
        "evaluate.worst=1",
        "evaluate.attack=fgsm",
        "train.adversarial_epsilon=0.2",
        "tracking.run_name=other",
        "data.in_memory_limit=2000000000",
        "cache_dir=/elsewhere",
    ],
)
def test_what_leaves_the_curve_alone_leaves_the_key(words: str) -> None:
    assert key(words) == key()


def test_an_attack_that_is_scored_after_each_epoch_counts() -> None:
    words = "search.objective=accuracy_under_attack evaluate.attack=fgsm"
    assert key(f"{words} evaluate.attack_epsilon=0.2") != key(words)


def test_where_states_midway_depend_on_the_end_the_end_counts() -> None:
    for words in ("schedule=cosine", "privacy=dp_sgd privacy.epsilon=3"):
        assert key(f"{words} train.epochs=9") != key(words)
    assert key("privacy=dp_sgd train.epochs=9") == key("privacy=dp_sgd")


def test_other_data_have_another_key() -> None:
    assert compute_key(replace(DATA, key="other"), tiny.BASE) != compute_key(DATA, tiny.BASE)


def test_samples_that_were_changed_are_other_data() -> None:
    """Whatever the search maximises: the words of its trials are the same."""
    noise, reseeded = (tiny.told(f"evaluate.shift=noise evaluate.shift_seed={seed}") for seed in (1, 2))
    samples = (DATA, shift_splits(DATA, noise), shift_splits(DATA, reseeded))
    assert len({compute_key(data, noise) for data in samples}) == 3


@pytest.mark.parametrize(("name", "value"), [("FORMAT", 99), ("__version__", "99.0")])
def test_another_format_or_release_has_another_key(
    name: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = key()
    monkeypatch.setattr(checkpoint_key, name, value)
    assert key() != before


def test_another_device_has_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = key()
    other = ClaimedDevice("cpu", "another CPU, 1 core", 1, "/CPU:0")
    monkeypatch.setattr(checkpoint_key, "claim_device", lambda _settings: other)
    assert key() != before


def test_code_of_the_user_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    before = key(CUSTOM)
    assert key(CUSTOM) == before
    monkeypatch.setattr(CustomArchitecture, "hash_code", staticmethod(lambda _model: "edited"))
    assert key(CUSTOM) != before


def test_the_file_lies_beside_the_path_and_says_its_key(tmp_path: Path) -> None:
    path = get_keyed_path(tmp_path / "abc.npz", DATA, tiny.BASE)
    assert path == tmp_path / f"abc-{compute_key(DATA, tiny.BASE)[:16]}.npz"
