"""What two networks must share to share compiled code."""

import pytest

from pipeline.models import keras_models
from pipeline.models.network_structure import describe_structure, get_widest_output
from pipeline.training.random_streams import find_dropout_layers
from tests.support import tiny

DATA = tiny.prepared(shape=(6, 5))
CNN = "model=cnn model.filters=2 model.hidden=4 model.dropout=0.2"
CUSTOM = "model=custom model.build=tests.support.my_models"


def structure(words: str) -> str | None:
    network = keras_models.build_network(tiny.told(words), DATA)
    return describe_structure(network, find_dropout_layers(network))


def test_names_seeds_and_shares_of_dropout_do_not_count() -> None:
    assert structure(CNN) == structure(f"{CNN} model.dropout=0.4 train.seed=3") is not None
    assert structure(f"{CUSTOM}:rich") == structure(f"{CUSTOM}:rich train.seed=5") is not None


@pytest.mark.parametrize(
    "words",
    ["model.filters=3", "model.hidden=5", "model.blocks=1", "model.activation=tanh", "model.dropout=0"],
)
def test_whatever_shapes_the_code_counts(words: str) -> None:
    assert structure(CNN) != structure(f"{CNN} {words}")


@pytest.mark.parametrize(
    ("one", "other"),
    [("float16", "bfloat16"), ("bfloat16", "mixed_bfloat16"), ("drops_few", "drops_many")],
)
def test_precision_counts_and_a_share_that_is_no_argument(one: str, other: str) -> None:
    """The names of layers do not count; that of a precision does, and layers of one name are told apart."""
    odd = "model=custom model.build=tests.support.odd_models"
    assert structure(f"{odd}:{one}") is not None
    assert structure(f"{odd}:{one}") != structure(f"{odd}:{other}")


def test_code_of_a_users_own_is_never_shared() -> None:
    assert structure(f"{CUSTOM}:own_layer") is None


def test_what_a_layer_has_learnt_from_samples_is_never_shared() -> None:
    assert structure("model=custom model.build=tests.support.odd_models:adapted") is None
    assert structure(f"{CUSTOM}:build") is not None  # our own scaling names its numbers


def test_the_widest_layer_may_lie_in_a_network_within_the_network() -> None:
    network = keras_models.build_network(
        tiny.told("model=custom model.build=tests.support.odd_models:wide"), DATA
    )
    assert get_widest_output(network) == 6 * 5 * 64
