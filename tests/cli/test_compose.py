"""From words to settings, and every mistake in one line."""

import re
import subprocess
import sys

import pytest
from hydra import compose as hydra_compose
from hydra.errors import HydraException
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from pipeline.cli import arguments
from pipeline.cli.compose import CONF, compose
from pipeline.cli.explain_errors import keys_and_rules
from pipeline.errors import BadSetting, FulcrumError
from pipeline.settings.data import Digits, Mnist
from pipeline.settings.optimizer import Adam, Cosine, Sgd
from pipeline.settings.settings import flatten
from pipeline.settings.training import Engine


def test_defaults_compose() -> None:
    told = compose([])
    assert isinstance(told.settings.data, Digits)
    assert isinstance(told.settings.optimizer, Adam)
    assert told.choices["optimizer"] == "adam"
    assert told.settings.engine is Engine.auto


def test_the_three_forms_say_the_same() -> None:
    plain = compose(["data=mnist", "train.epochs=3"])
    dashed = compose(["--data", "mnist", "--train.epochs=3"])
    bundled = compose(["--overrides", "data=mnist train.epochs=3"])
    assert plain == dashed == bundled
    assert isinstance(plain.settings.data, Mnist)
    assert plain.settings.train.epochs == 3


def test_an_option_brings_its_own_values() -> None:
    told = compose(["optimizer=sgd", "optimizer.momentum=0.9", "schedule=cosine", "schedule.final=0.1"])
    assert told.settings.optimizer == Sgd(learning_rate=0.05, momentum=0.9, nesterov=False)
    assert told.settings.schedule == Cosine(final=0.1)


def test_experiment_article_is_the_article() -> None:
    flat = dict(flatten(compose(["experiment=article"]).settings))
    assert (flat["model.hidden"], flat["model.activation"], flat["model.output"]) == (500, "relu", "sigmoid")
    assert (flat["optimizer.learning_rate"], flat["train.batch_size"], flat["train.epochs"]) == (0.01, 1, 10)
    assert (flat["claim.accuracy"], flat["claim.loss"]) == (0.9897, 0.2923)


def test_a_price_turns_device_seconds_into_money() -> None:
    assert compose([]).settings.price.of(7200) is None
    assert compose(["price.per_hour=1.5"]).settings.price.of(7200) == 3.0
    for path in CONF.glob("price/*.yaml"):
        price = compose([f"price={path.stem}"]).settings.price
        assert (price.per_hour is None) == (path.stem == "none")
        assert price.currency == "usd"
        assert price.per_hour is None or re.search(r"per_hour: .* # .+ of 20\d\d-\d\d", path.read_text())


def test_words_typed_beat_an_experiment() -> None:
    assert compose(["train.epochs=4", "experiment=smoke"]).settings.train.epochs == 4


def test_a_value_that_hydra_cannot_read_bare_is_quoted() -> None:
    told = compose(["data=idx", "data.path=/tmp/my (own) data's"])
    assert dict(flatten(told.settings))["data.path"] == "/tmp/my (own) data's"


def test_the_command_line_repeats_the_settings() -> None:
    told = compose(["data=idx", "data.path=/tmp/my (own) data's", "optimizer=sgd"])
    again = compose(told.overrides)
    assert again.settings == told.settings
    assert told.command_line("run").startswith("python -m pipeline run data=idx ")


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("trian.epochs=1", ["trian.epochs is not a setting", "got 1", "did you mean train.epochs?"]),
        ("train.epohcs=1", ["train has no setting epohcs", "did you mean train.epochs?"]),
        ("optimizer=sdg", ["optimizer must be one of adam, sgd", "got sdg", "did you mean sgd?"]),
        ("optimizer=sgd optimizer.beta1=1", ["optimizer has no setting beta1", "optimizer=adam has it"]),
        (
            "model.activation=rleu",
            ["model.activation must be one of relu, sigmoid, tanh", "did you mean relu?"],
        ),
        ("train.epochs=ten", ["train.epochs must be a whole number", "got ten"]),
        ("train.epochs=1.5", ["train.epochs must be a whole number", "got 1.5"]),
        ("train.epochs=1,2", ["train.epochs must be one value", "got several"]),
        ("optimizer.learning_rate=-1", ["optimizer.learning_rate must be > 0", "got -1"]),
        ("optimizer.learning_rate=nan", ["optimizer.learning_rate must be > 0", "got nan"]),
        ("model.hidden=0", ["model.hidden must be >= 1", "got 0"]),
        ("model.hidden=null", ["model.hidden must be a whole number", "got null"]),
        ("profile.batch_sizes=[1,a]", ["profile.batch_sizes must be a list, each a whole number"]),
        ("profile.batch_sizes=[1,", ["profile.batch_sizes must be a list"]),
        ("profile.batch_sizes=[]", ["profile.batch_sizes must be a list", "not empty"]),
        (
            "model.output=sigmoid",
            ["loss=cross_entropy needs model.output=softmax", "loss=binary_cross_entropy"],
        ),
        ("loss=binary_cross_entropy", ["needs model.output=sigmoid", "got softmax"]),
        ("optimizer=sgd optimizer.nesterov=true", ["optimizer.nesterov must be false unless"]),
        ("model.init=pretrained", ["model.pretrained must be set"]),
        ("preprocess.validation=0.9", ["preprocess.validation must be < 1 - preprocess.test"]),
        ("price.per_hour=-1", ["price.per_hour must be >= 0 and < 1e6, or null", "got -1"]),
        ("price.currency=US$", ["price.currency must be three small letters", "got US$"]),
        ("price=v100", ["price must be one of a100, core, h100, l4, none, t4", "got v100"]),
        ("device.pin=maybe", ["device.pin must be true or false", "got maybe"]),
        ("record=model", ["record must be own unless trained="]),
        ("data=idx", ["data.path must be set", "add data.path=..."]),
        ("engine=fast", ["engine must be one of auto, xla, graph, keras"]),
        ("hydra.verbose=true", ["Hydra's own"]),
        ("claim.accuracy=1", ["claim.accuracy belongs to an experiment"]),
        ("+foo=1", ["can only be set, not added"]),
        ("~train", ["can only be set"]),
        ("foo", ["every word must be key=value"]),
        ("--foo", ["--foo must be followed by a value"]),
        ("data_dir=${oc.env:NO_SUCH}", ["data_dir must not refer to what is not there", "NO_SUCH"]),
    ],
)
def test_each_mistake_is_one_line_with_key_rule_value_and_remedy(words: str, parts: list[str]) -> None:
    with pytest.raises(BadSetting) as caught:
        compose(words.split(" "))
    text = str(caught.value)
    assert "\n" not in text
    for part in parts:
        assert part in text


KEYS = sorted(keys_and_rules())
BAD_VALUES = [
    "",
    "ten",
    "-1",
    "1e99",
    "[1,",
    "{a:1}",
    "null",
    "true",
    "'",
    "${x}",
    "nan",
    "a,b",
    "(",
    "\\",
    "=",
    "\n",
]
NONSENSE = st.text(st.characters(codec="utf-8"), max_size=12)
KEY = st.sampled_from(KEYS) | st.sampled_from(KEYS).map(lambda key: key[:-1] + "x") | NONSENSE
WORD = st.tuples(KEY, st.sampled_from(BAD_VALUES) | NONSENSE).map("=".join) | NONSENSE


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(WORD, min_size=1, max_size=3))
def test_200_generated_overrides_end_in_settings_or_in_one_line(words: list[str]) -> None:
    told: object = None
    try:
        compose(words)
    except FulcrumError as error:
        told = error
    assert told is None or (isinstance(told, BadSetting) and "\n" not in str(told))


def test_a_mistake_is_told_without_importing_tensorflow_or_mlflow() -> None:
    code = (
        "import sys\n"
        "from pipeline.cli import main\n"
        "code = main(['run', 'trian.epochs=1'])\n"
        "print(code, [name for name in ('tensorflow', 'keras', 'mlflow') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "2 []"
    assert done.stderr == "error: trian.epochs is not a setting, got 1; did you mean train.epochs?\n"


# ---- kept groups: quicker, and the same as Hydra's own composing -----------------------------------------


def plainly(words: list[str]) -> tuple[object, dict[str, str]]:
    """Settings and chosen options as Hydra alone composes them."""
    compose([])  # Hydra knows conf/ from here on
    config = hydra_compose("config", overrides=arguments.overrides(words), return_hydra_config=True)
    choices = OmegaConf.to_container(config.hydra.runtime.choices)
    with open_dict(config):
        del config["hydra"]
    assert isinstance(choices, dict)
    chosen = {str(key): str(value) for key, value in choices.items() if "/" not in str(key) and value}
    return OmegaConf.to_object(config), chosen


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["experiment=article", "train.epochs=2", "price=t4", "model.hidden=17"],
        ["train.epochs=2", "experiment=smoke", "optimizer=sgd", "optimizer.momentum=0.5", "optimizer=sgd"],
        ["optimizer.learning_rate=1", "optimizer=sgd", "schedule=cosine", "profile.batch_sizes=[1,7]"],
        ["search=article", "search.when={optimizer=sgd:['train.epochs=1,2']}", "search.study='a, b'"],
        ["search=quick", "search.space=['model.hidden=1,2']", "search.storage=null", "pruning=none"],
        ["data=idx", "data.path=/tmp/my (own) data's", "cache_dir=${data_dir}/cache", "engine=keras"],
        [
            "preprocess.standardise=none",
            "precision=float64",
            "model.layers=2",
            "train.seed=3",
            "train.seed=4",
        ],
        ["loss=binary_cross_entropy", "model.output=sigmoid", "augment=shift", "device=cpu", "data=mnist"],
        # and what neither of them takes
        ["optimizer.beta1=0.5", "optimizer=sgd"],
        ["search.when={optimizer=sgd:3}"],
        ["profile.batch_sizes={a:1}"],
        ["train.epochs=[1]"],
    ],
    ids=lambda words: " ".join(words)[:40],
)
def test_it_composes_what_hydra_composes(words: list[str]) -> None:
    try:
        settings_, choices = plainly(words)
    except (HydraException, OmegaConfBaseException, FulcrumError):
        with pytest.raises(BadSetting):
            compose(words)
        return
    told = compose(words)
    assert told.settings == settings_
    assert told.choices == choices


def test_what_was_composed_before_leaves_no_trace() -> None:
    before = compose(["optimizer=sgd"])
    compose(
        [
            "optimizer=sgd",
            "optimizer.momentum=0.9",
            "profile.batch_sizes=[3]",
            "search.space=['model.hidden=1,2']",
        ]
    )
    again = compose(["optimizer=sgd"])
    assert again == before
    again.settings.search.space.append("written into")
    assert compose(["optimizer=sgd"]) == before


def test_the_environment_is_read_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("/tmp/one", "/tmp/two"):
        monkeypatch.setenv("FULCRUM_DATA", folder)
        assert compose([]).settings.data_dir == folder


def test_a_backslash_and_quotes_survive() -> None:
    for path in ("C:\\my data\\digits", "it's (mine)\\", 'say "a", b'):
        assert compose(["data=idx", f"data.path={path}"]).settings.data.path == path  # type: ignore[attr-defined]


def test_train_from_is_typed_as_it_reads() -> None:
    told = compose(["train.from=runs:/abc/model"])
    assert told.settings.train.start_from == "runs:/abc/model"
    assert compose(told.overrides).settings == told.settings
