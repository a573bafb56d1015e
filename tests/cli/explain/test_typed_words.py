"""Every mistake in the words of a command line, in one line."""

import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.cli.compose import compose
from pipeline.cli.schema import list_rules
from pipeline.errors import BadSetting, FulcrumError


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("trian.epochs=1", ["trian.epochs is not a setting", "got 1", "did you mean train.epochs=1?"]),
        ("train.epohcs=1", ["train has no setting epohcs", "did you mean train.epochs=1?"]),
        ("lr=0.1", ["lr is not a setting, got 0.1; did you mean optimizer.learning_rate=0.1?"]),
        ("optimizer.lr=0.1", ["did you mean optimizer.learning_rate=0.1?"]),
        ("batch=64", ["did you mean train.batch_size=64?"]),
        ("epochs=3", ["did you mean train.epochs=3?"]),
        ("hidden=32", ["did you mean model.hidden=32?"]),
        ("batch-size=64", ["did you mean train.batch_size=64?"]),
        ("learning-rate=0.1", ["did you mean optimizer.learning_rate=0.1?"]),
        ("--lr 0.1", ["did you mean optimizer.learning_rate=0.1?"]),
        ("hidden_units=32", ["did you mean model.hidden=32?"]),
        ("optim.lr=0.1", ["did you mean optimizer.learning_rate=0.1?"]),
        ("training.epochs=3", ["did you mean train.epochs=3?"]),
        ("Train.Epochs=3", ["did you mean train.epochs=3?"]),
        ("optimizer=SDG", ["did you mean optimizer=sgd?"]),
        ("amp=true", ["did you mean precision=mixed_float16?"]),
        ("mixed_precision=true", ["did you mean precision=mixed_float16?"]),
        ("precision=bf16-mixed", ["did you mean precision=mixed_bfloat16?"]),
        ("\u2013train.epochs=3", ["not the hyphen of a keyboard; write --train.epochs=3"]),
        ("\u2014lr 0.1", ["write --lr"]),
        ("optimizer.learning_rate=1e\u20133", ["did you mean optimizer.learning_rate=1e-3?"]),
        ("optimizer.learning_rate=0,01", ["did you mean optimizer.learning_rate=0.01?"]),
        (
            "data=audio_folder data.path=sounds data.seconds=0,25",
            ["data.seconds must be one value, got 0,25; did you mean data.seconds=0.25?"],
        ),
        (
            "trial.call=mine:train lr=0.1",
            ["trial has no setting call", "write trial=function trial.call=mine:train"],
        ),
        ("lr=0.1 trial.command=./train.sh", ["write trial=command trial.command=./train.sh"]),
        ("trial=mine.py:train lr=0.1", ["did you mean trial=function trial.call=mine:train?"]),
        ("model.dropout=50%", ["did you mean model.dropout=0.5?"]),
        ("model.hidden=16\u201364", ["write 'model.hidden=int(interval(16,64))' with sweep"]),
        ("search.budget=$0.5", ["search.budget must be an amount", "got $0.5; write search.budget=0.5usd"]),
        ("fp16=true", ["did you mean precision=mixed_float16?"]),
        (
            "precision=int8",
            ["precision must be one of", "8 bits are for answers: profile.runtime=litert_int8"],
        ),
        ("precision=bf16", ["precision must be one of", "did you mean precision=mixed_bfloat16?"]),
        ("optimizer=adamw", ["did you mean optimizer=adam optimizer.weight_decay=0.01?"]),
        ("model=perceptron", ["did you mean model=mlp?"]),
        ("optimizer=sdg", ["optimizer must be one of adam, sgd", "got sdg", "did you mean optimizer=sgd?"]),
        ("optimizer=sgd optimizer.beta1=1", ["optimizer has no setting beta1", "optimizer=adam has it"]),
        (
            "model.activation=rleu",
            ["model.activation must be one of relu, sigmoid, tanh", "did you mean model.activation=relu?"],
        ),
        ("train.epochs=ten", ["train.epochs must be a whole number", "got ten"]),
        ("train.epochs=1.5", ["train.epochs must be a whole number", "got 1.5"]),
        ("train.epochs=1,2", ["train.epochs must be one value", "got several"]),
        ("experiment=smoke,article", ["experiment must be one of article, smoke", "got several", "give one"]),
        ("data=csv data.path=a,b.csv data.label=y", ["got several", """write 'data.path="a,b.csv"'"""]),
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
        ("--foo", ["--foo is no flag of this command, so a value must follow it", "see --help"]),
        ("--verbose train.epochs=3", ["--verbose is no flag of this command"]),
        ("--fast --train.epochs 3", ["--fast is no flag of this command"]),
        ("-v", ["-v is no flag of this command"]),
        ("model.hidden=16..64", ["write 'model.hidden=int(interval(16,64))' with sweep"]),
        ("model.hidden=log(16,1024)", ["write 'model.hidden=tag(log,int(interval(16,1024)))' with sweep"]),
        ("model.hidden=16,64", ["`sweep` or `run --multirun` tries them all"]),
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


KEYS = sorted(list_rules())
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


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(WORD, min_size=1, max_size=3))
def test_generated_overrides_end_in_settings_or_in_one_line(words: list[str]) -> None:
    mistake: FulcrumError | None = None
    try:
        compose(words)
    except FulcrumError as error:
        mistake = error
    assert mistake is None or (isinstance(mistake, BadSetting) and "\n" not in str(mistake))


def test_a_mistake_is_told_without_importing_tensorflow_or_mlflow() -> None:
    code = (
        "import sys\n"
        "from pipeline.cli import main\n"
        "code = main(['run', 'trian.epochs=1'])\n"
        "print(code, [name for name in ('tensorflow', 'keras', 'mlflow') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "2 []"
    assert done.stderr == "error: trian.epochs is not a setting, got 1; did you mean train.epochs=1?\n"
