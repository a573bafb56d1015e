"""Mistyped words, as users of other tools type them: each is one line with words that really work."""

import re
import shlex

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pipeline.cli.compose import compose, find_mistake
from pipeline.cli.explain.foreign_names import KEY_ALIASES
from pipeline.cli.schema import list_rules
from pipeline.cli.sweep.plan import make_plan
from pipeline.errors import BadSetting

MEANT = """
fp16                                    precision=mixed_float16
bf16                                    precision=mixed_bfloat16
--fp16                                  precision=mixed_float16
--amp --lr 0.1                          precision=mixed_float16
half=true                               precision=mixed_float16
bf16=false                              precision=float32
precision=fp32                          precision=float32
-lr 0.1                                 optimizer.learning_rate=0.1
-lr=0.1                                 optimizer.learning_rate=0.1
--lr=.1                                 optimizer.learning_rate=.1
-b 64                                   train.batch_size=64
-e 3                                    train.epochs=3
-j4                                     search.workers=4
-o adam                                 optimizer=adam
epochs:3                                train.epochs=3
epochs: 3                               train.epochs=3
epochs 3                                train.epochs=3
epochs => 3                             train.epochs=3
train.epochs = 3                        train.epochs=3
train.epochs =3                         train.epochs=3
train.epochs= 3                         train.epochs=3
train.epochs:3                          train.epochs=3
train.epochs==3                         train.epochs=3
train.epochs=3;                         train.epochs=3
train.epochs=3.0                        train.epochs=3
train.epochs=1e2                        train.epochs=100
train.epochs=ten                        train.epochs=10
train/epochs=3                          train.epochs=3
training.epochs=3                       train.epochs=3
trainer.max_epochs=3                    train.epochs=3
num_train_epochs=3                      train.epochs=3
max_iter=200                            train.epochs=200
train.batch_size=2^6                    train.batch_size=64
train.batch_size=1k                     train.batch_size=1000
BATCH_SIZE=64                           train.batch_size=64
per_device_train_batch_size=8           train.batch_size=8
lr=0,1                                  optimizer.learning_rate=0.1
optimizer.learning_rate=10^-3           optimizer.learning_rate=0.001
optimizer.learning_rate=1/1000          optimizer.learning_rate=0.001
learning_rate_init=0.01                 optimizer.learning_rate=0.01
learning_rte=0.1                        optimizer.learning_rate=0.1
lr=0.1,epochs=3                         optimizer.learning_rate=0.1 train.epochs=3
momentum=0.9                            optimizer=sgd optimizer.momentum=0.9
nesterov=true                           optimizer=sgd optimizer.momentum=0.9 optimizer.nesterov=true
beta_1=0.8                              optimizer.beta1=0.8
optimizer=AdamW                         optimizer=adam optimizer.weight_decay=0.01
optimizer=tf.keras.optimizers.SGD       optimizer=sgd
optimizer=rmsprop                       optimizer=adam
solver=lbfgs                            optimizer=adam
loss=sparse_categorical_crossentropy    loss=cross_entropy
loss=bce                                loss=binary_cross_entropy model.output=sigmoid
criterion=CrossEntropyLoss              loss=cross_entropy
scheduler=CosineAnnealingLR             schedule=cosine
schedule=step                           schedule=cosine
schedule=onecycle                       schedule=warmup_linear
warmup_ratio=0.1                        schedule=warmup_linear schedule.warmup=0.1
early_stopping                          train.patience=5
early_stopping=true                     train.patience=5
early_stopping=false                    train.patience=0
--early-stopping-patience 3             train.patience=3
n_iter_no_change=7                      train.patience=7
EarlyStopping                           train.patience=5
seed=42                                 train.seed=42
random_state=abc                        train.seed=0
device=tpu                              device=auto
device=mps                              device=auto
device=cuda                             device=gpu
device=cuda:1                           device=gpu
gpu=0                                   device=gpu
--no-cuda                               device=cpu
use_cuda=false                          device=cpu
accelerator=gpu                         device=gpu
gpus=2                                  device.count=2
layers=3                                model.layers=3
activation=ReLU                         model.activation=relu
activation=gelu                         model.activation=relu
dropout=50%                             model.dropout=0.5
kernel_initializer=he_normal            model.init=he
hidden_layer_sizes=(100,)               model.hidden=100 model.layers=1
units=[64,64]                           model.hidden=64 model.layers=2
model.layers=[64,32]                    model.hidden=64 model.layers=2
model=resnet50                          model=cnn
model=transformer                       model=text
arch=mlp                                model=mlp
mnist                                   data=mnist
data=cifar10                            data=tfds data.name=cifar10
data=./my.csv                           data=csv data.path=./my.csv data.label=-1
train_file=x.csv                        data=csv data.path=x.csv data.label=-1
target=price                            data=csv data.path=FILE.csv data.label=price
data=csv data.label=y data.path=my file.csv   'data.path=my file.csv'
limit_train_batches=0.1                 data.fraction=0.1
validation_split=0.2                    preprocess.validation=0.2
augment=true                            augment=shift
search.budget=0,5usd                    search.budget=0.5usd
search.budget=2 min                     search.budget=2min
budget=1h30m                            search.budget=90min
search.timeout=1h                       search.timeout=3600
timeout=10min                           search.timeout=600
n_trials=20                             search.trials=20
metric=val_accuracy                     search.objective=accuracy
search.objectives=accuracy,cost,latency  'search.objectives=[accuracy,cost,latency_ms]'
search.space={model.hidden:"16,32"}     'search.when={}' 'search.space=["model.hidden=16,32"]'
space={train.seed:[1,2],optimizer:[sgd]}   'search.when={}' 'search.space=["train.seed=1,2","optimizer=sgd"]'
search.space="model.hidden=16,32"       'search.when={}' 'search.space=["model.hidden=16,32"]'
search.space=hidden                     'search.when={}' 'search.space=["model.hidden=16,32,64"]'
search.enqueue={model.hidden:64,optimizer:sgd}   'search.enqueue=["model.hidden=64 optimizer=sgd"]'
sampler=TPESampler                      search.sampler=tpe
method=bayes                            search.sampler=frontier
pruner=median                           pruning=pause
storage=sqlite:///x.db                  search.storage=sqlite:///x.db
study_name=mine                         search.study=mine
project=mine                            tracking.experiment=mine
tags=team:vision                        'tracking.tags={team:vision}'
profile.batch_sizes=1,8                 'profile.batch_sizes=[1,8]'
resume=runs:/abc/model                  train.from=runs:/abc/model
experiment=articel                      experiment=article
engine=tf                               engine=graph
engine=quick                            engine=auto
search=fast                             search=quick
search=bayes                            search.sampler=frontier
cluster=slurm                           cluster=ray
trial=script                            trial=command trial.command=./train.sh
price=2eur                              price.per_hour=2 price.currency=eur
price=nvidia-a100                       price=a100
price=v100                              price.per_hour=2
price.per_hour=$2                       price.per_hour=2
diagnose.minutes=30s                    diagnose.minutes=0.5
budget=2 minutes                        search.budget=2minutes
model.hidden=64x64                      model.hidden=64 model.layers=2
data.path=my.csv                        data=csv data.path=my.csv data.label=-1
"""
"""What is typed, and behind two spaces at least what the message says to type instead."""

SEARCHED = """
hidden=64,128                           model.hidden=64,128
modle.hidden=8,16                       model.hidden=8,16
lr=1,2                                  optimizer.learning_rate=1,2
hidden=[64|128]                         model.hidden=64,128
model.hidden=64 128                     model.hidden=64,128
model.hidden=16:64:16                   'model.hidden=range(16,65,16)'
model.hidden=linspace(16,64,4)          model.hidden=16,32,48,64
model.hidden=tune.choice([16,32])       model.hidden=16,32
model.hidden=hp.choice('h',[16,32])     model.hidden=16,32
model.hidden=trial.suggest_int('h',16,256,log=True)   'model.hidden=tag(log,int(interval(16,256)))'
model.hidden=logspace(1,3)              'model.hidden=tag(log,int(interval(10,1000)))'
model.hidden=1e1..1e2                   'model.hidden=int(interval(10,100))'
lr=1e-3..1e-1                           'optimizer.learning_rate=interval(1e-3,1e-1)'
lr~loguniform(1e-4,1e-1)                'optimizer.learning_rate=tag(log,interval(1e-4,1e-1))'
parameters.lr.values=[0.1,0.2]          optimizer.learning_rate=0.1,0.2
optimizer.learning_rate=0.1 to 0.5      'optimizer.learning_rate=interval(0.1,0.5)'
optimizer=sgd|adam                      optimizer=sgd,adam
precision=fp16,bf16                     precision=mixed_float16,mixed_bfloat16
"""
"""The same for several values, which `sweep` takes."""

LEFT_OUT = """
shuffle=true    verbose=1      --verbose           metrics=accuracy      clipnorm=1     max_grad_norm=1
output_dir=x    --log-dir x    pin_memory=true     steps_per_epoch=100   callbacks=x    direction=maximize
wandb=true      warmup_steps=5 --config a.yaml     config.yaml           --multirun     jit_compile=true
"""
REMEDY = re.compile(r"(?:did you mean|write) (.+?)(?:\?| with sweep| \(.*\))?$")


def split_rows(table: str) -> list[tuple[str, str]]:
    rows = [re.split(r"\s{2,}", line) for line in table.strip().splitlines()]
    return [(typed, meant) for typed, meant in rows]


def read_mistake(typed: list[str]) -> str:
    with pytest.raises(BadSetting) as caught:
        compose(typed)
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(("typed", "meant"), split_rows(MEANT))
def test_what_users_of_other_tools_type_leads_to_words_that_work(typed: str, meant: str) -> None:
    text = read_mistake(typed.split(" "))
    found = REMEDY.search(text)
    assert found is not None, text
    assert found[1].removeprefix("search.budget=") == meant.removeprefix("search.budget="), text


@pytest.mark.parametrize(("typed", "meant"), split_rows(SEARCHED))
def test_several_values_lead_to_a_sweep_of_them(typed: str, meant: str) -> None:
    text = read_mistake(typed.split(" "))
    assert text.endswith(f"write {meant} with sweep")


@pytest.mark.parametrize(
    ("typed", "rule"),
    [
        ("hidden=0", "model.hidden must be >= 1 and <= 65536"),
        ("hiden=-5", "model.hidden must be >= 1 and <= 65536"),
        ("model.hiden=0", "model.hidden must be >= 1 and <= 65536"),
        ("--hidden 0", "model.hidden must be >= 1 and <= 65536"),
        ("hidden=0,16", "model.hidden must be >= 1 and <= 65536"),
        ("lr=0", "optimizer.learning_rate must be > 0 and < 1e6"),
        ("optimizer.lr=-3", "optimizer.learning_rate must be > 0 and < 1e6"),
        ("momentum=2", "optimizer.momentum must be >= 0 and < 1"),
        ("currency=true", "price.currency must be three small letters such as usd"),
        ("study=a/b", "search.study must be a name of at most 240 bytes, without any of ' \" / :, or null"),
        ("schedule=cosine schedule.warmup=5", "schedule.warmup must be >= 0 and < 1 (a share of the steps)"),
        ("model.hidden=[0,0]", "model.hidden must be >= 1 and <= 65536"),
        ("lr=0.1,layers=-1", "model.layers must be >= 0 (a linear model) and <= 64"),
    ],
)
def test_nobody_is_told_to_type_what_is_refused_then(typed: str, rule: str) -> None:
    assert re.search(rf"(;|, and) {re.escape(rule)}$", read_mistake(typed.split(" ")))


def read_remedies(mistake: str) -> list[list[str]]:
    """The words that a line says to type, in each of its ways; not those with a place to be filled in."""
    found = REMEDY.search(mistake)
    if not found or "with sweep" in mistake or "..." in found[1] or "FILE" in found[1]:
        return []
    ways = map(shlex.split, found[1].split(" or "))
    return [words for words in ways if all("=" in word for word in words)]


@pytest.mark.slow
@settings(max_examples=8, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from([key for key in list_rules() if "." in key]),
    st.sampled_from(["28x28", "28,28", "120", "abc", "16..64", "[a]", "true"]),
)
@example("data.size", "28")
@example("data.size", "28x32")
@example("search.budget", "120")
@example("price.currency", "a,b")
@example("profile.batch_sizes", "16..64")
@example("trial.call", "28,28")
@example("data.test_path", "abc")
def test_what_is_told_of_any_setting_is_taken_as_it_is_printed(key: str, value: str) -> None:
    mistake = str(find_mistake([f"{key}={value}"]) or "")
    for words in read_remedies(mistake):
        assert find_mistake(words) is None, mistake


@pytest.mark.slow
@pytest.mark.parametrize("value", ["0", "1e9", "1.5", "abc", "nan"])
def test_bad_values_of_every_alias_lead_to_what_is_taken(value: str) -> None:
    one_of_each = {target: name for name, target in KEY_ALIASES.items()}
    for name in one_of_each.values():
        mistake = str(find_mistake([f"{name}={value}"]))
        found = REMEDY.search(mistake)
        if found and "with sweep" not in mistake:
            assert find_mistake(shlex.split(found[1])) is None, mistake


@pytest.mark.slow
def test_every_word_that_is_told_composes() -> None:
    with_it = {"search.budget=0.5usd": "price=a100", "'data.path=my file.csv'": "data=csv data.label=y"}
    for meant in dict.fromkeys(meant for _, meant in split_rows(MEANT)):
        if "device=gpu" not in meant:  # which needs one
            assert compose([*with_it.get(meant, "").split(), *shlex.split(meant)])
    for _, meant in split_rows(SEARCHED):
        assert make_plan([*shlex.split(meant), "search.space=[]", "search.enqueue=[]"]).space.dimensions


@pytest.mark.parametrize("typed", re.split(r"\s{2,}|\n", LEFT_OUT.strip()))
def test_what_has_no_like_here_is_left_out_and_why_is_told(typed: str) -> None:
    assert re.search(r"; leave it out: \w", read_mistake(typed.split(" ")))


@pytest.mark.parametrize("typed", ["foo=1", "foo.bar=1", "foo", "--foo", "train.xyzzy=1", "experiment=fast"])
def test_what_is_like_nothing_is_led_nowhere(typed: str) -> None:
    text = read_mistake([typed])
    assert "did you mean" not in text
    assert "--help" in text or "must be one of" in text


def test_a_sweep_tells_the_same() -> None:
    for typed, meant in (
        ("hidden=64,128", "model.hidden=64,128"),
        ("search.budget=0,5usd", "search.budget=0.5usd"),
    ):
        with pytest.raises(BadSetting, match=rf"(write|did you mean) {re.escape(meant)}"):
            make_plan([typed])
