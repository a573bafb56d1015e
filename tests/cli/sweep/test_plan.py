"""What a sweep makes of its words, before anything runs."""

import pytest

from pipeline.cli.compose import compose
from pipeline.cli.sweep.plan import make_plan
from pipeline.errors import BadSetting
from pipeline.tracking.runs.params import make_run_name

ONE = ["optimizer=sgd", "optimizer.learning_rate=0.1", "optimizer.momentum=0.9"]
"""One optimizer, so that conf/search adds no dimension."""
WORDS = [*ONE, "search.space=[]", "search.enqueue=[]"]


def test_a_plan_has_what_is_shared_and_what_is_searched() -> None:
    around = ["tracking.experiment=x", "ui.port=1", "diagnose.steps=2", "trained=run"]
    plan = make_plan([*WORDS, "model.hidden=8,16", "train.epochs=2", *around])
    assert plan.fixed == ("data=digits", *ONE, "train.epochs=2")
    assert "model.hidden" in plan.space.keys
    assert plan.command_line.settings.tracking.experiment == "x"


def test_the_data_is_named_once() -> None:
    plan = make_plan([*WORDS, "data=digits", "model.hidden=8,16"])
    assert plan.fixed == (*ONE, "data=digits")


def test_the_same_command_on_the_same_device_resumes_its_study() -> None:
    words = [*WORDS, "model.hidden=8,16"]
    name = make_plan(words).default_name("a CPU")
    assert name.startswith("digits-")
    assert make_plan([*words, "search.trials=3", "tracking.experiment=x"]).default_name("a CPU") == name
    assert make_plan(words).default_name("a GPU") != name
    assert make_plan([*words, "train.batch_size=32"]).default_name("a CPU") != name


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["data=csv", "data.path=a,b.csv", "data.label=y"], "data.path must be one value, got several in"),
        (["experiment=smoke,article"], "experiment must be one of article, smoke"),
        (["train.from=run", "model.hidden=8,16"], "sweep needs train.from=null"),
        (["tracking.register=mine", "model.hidden=8,16"], "tracking.register must be null with sweep"),
        (["tracking.run_name=mine", "model.hidden=8,16"], "tracking.run_name must be null with sweep"),
        (
            ["search.objective=accuracy_under_shift"],
            "search.objective=accuracy_under_shift needs evaluate.shift",
        ),
        (["model.hidden=0,16"], "model.hidden must be >= 1"),
        (["model.hidden=interval(8.5,16)"], "model.hidden must be a whole number"),
        (["diagnose.steps=1,2"], "diagnose.steps must have one value in a search"),
    ],
)
def test_a_mistake_is_refused_before_anything_runs(words: list[str], text: str) -> None:
    with pytest.raises(BadSetting) as caught:
        make_plan(words)
    assert str(caught.value).startswith(text)


def test_further_objectives_belong_to_the_study_and_the_first_two_alone_change_nothing() -> None:
    words = ["search=quick", "model.hidden=8,16"]
    two, three = make_plan(words), make_plan([*words, "search.objectives=[accuracy,cost,latency_ms]"])
    assert "objectives" not in two.describe_study("a CPU")
    assert three.describe_study("a CPU")["objectives"] == ["accuracy", "cost", "latency_ms"]
    assert two.default_name("a CPU") != three.default_name("a CPU")
    named = make_plan([*words, "search.objectives=[accuracy,cost]"])
    assert two.default_name("a CPU") == named.default_name("a CPU")


@pytest.mark.parametrize(
    "words",
    [
        ["trial=command", "trial.command='python p.py --db postgresql://ann:geheim@host/db {width}'"],
        ["trial=command", "trial.command='python p.py --api-key geheim {width}'"],
        ["trial=function", "trial.call=tests.support.my_loops:raising", "db_password=geheim"],
    ],
)
def test_no_secret_of_the_words_is_written_into_a_study_or_a_name(words: list[str]) -> None:
    plan = make_plan([*words, "width=8,16"])
    assert "geheim" not in str((plan.describe_study("a CPU"), plan.fingerprint_data("sha")))
    assert "geheim" not in make_run_name(compose([*words, "width=8"]), "run")


TABLE = ["data=csv", "data.path=t.csv", "data.label=y"]


@pytest.mark.parametrize(
    ("words", "is_linear_searched"),
    [
        (TABLE, True),
        ([*TABLE, "data.text=remark"], False),
        ([*TABLE, "model.hidden=8,16"], False),
        ([*TABLE, "model.layers=2"], False),
        (["data=digits"], False),
    ],
)
def test_the_space_of_a_table_has_a_linear_model(words: list[str], is_linear_searched: bool) -> None:
    plan = make_plan(words)
    has_baseline = bool(plan.command_line.settings.search.enqueue)  # whose data is not scaled
    assert has_baseline == (words == ["data=digits"])
    space = plan.space
    linear = [dimension for dimension in space.dimensions if dimension.key == "model.layers"]
    assert [dimension.choices for dimension in linear] == [(0, 1)] * is_linear_searched
    (width,) = [dimension for dimension in space.dimensions if dimension.key == "model.hidden"]
    assert (width.when is not None) == is_linear_searched
