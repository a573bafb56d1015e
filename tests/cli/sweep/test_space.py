"""The words of a sweep become a space."""

import pytest

from pipeline.cli import arguments
from pipeline.cli.compose import compose
from pipeline.cli.sweep import space as sweep_space
from pipeline.errors import BadSetting
from pipeline.search.space import Condition, Dimension
from pipeline.settings.addresses import CONF

PLAIN = ["model.hidden=8,16", "optimizer=sgd,adam"]
WHEN = {
    "optimizer=sgd": ["optimizer.learning_rate=0.1,0.5", "optimizer.momentum=0.0,0.9"],
    "optimizer=adam": ["optimizer.learning_rate=0.001,0.01"],
}


def built(
    *words: str, plain: list[str] | None = None, when: dict[str, list[str]] | None = None
) -> tuple[str, ...]:
    """One line a dimension, of conf's space with `words` typed on top."""
    fixed, several = sweep_space.split_words(arguments.normalise_words(words))
    return sweep_space.build_space(
        PLAIN if plain is None else plain, WHEN if when is None else when, fixed, several
    ).format_lines()


def test_words_with_several_values_are_told_apart() -> None:
    words = ["train.epochs=3", "model.hidden=8,16", "data_dir='a,b'", "model.dropout=interval(0,0.5)"]
    assert sweep_space.split_words(words) == ([words[0], words[2]], [words[1], words[3]])


def test_the_space_of_conf() -> None:
    assert built() == (
        "model.hidden=8,16",
        "optimizer=sgd,adam",
        "optimizer=sgd: optimizer.learning_rate=0.1,0.5",
        "optimizer=sgd: optimizer.momentum=0,0.9",
        "optimizer=adam: optimizer.learning_rate=0.001,0.01",
    )


def test_what_is_typed_replaces_adds_and_takes_out() -> None:
    assert built("model.hidden=64,128", "train.batch_size=32,64", "optimizer.learning_rate=0.01") == (
        "optimizer=sgd,adam",
        "model.hidden=64,128",
        "train.batch_size=32,64",
        "optimizer=sgd: optimizer.momentum=0,0.9",
    )


def test_a_part_of_the_training_data_can_be_searched() -> None:
    assert "data.fraction=0.25,0.5,1" in built("data.fraction=0.25,0.5,1.0")


def test_a_settled_condition_holds_everywhere_and_another_nowhere() -> None:
    assert built("optimizer=sgd") == (
        "model.hidden=8,16",
        "optimizer.learning_rate=0.1,0.5",
        "optimizer.momentum=0,0.9",
    )
    assert (
        built("optimizer=adam", "optimizer=sgd")[1] == "optimizer.learning_rate=0.1,0.5"
    )  # the last word counts


def test_a_condition_on_a_value_that_was_typed_away_is_dropped() -> None:
    assert built("optimizer=sgd,lion") == (
        "model.hidden=8,16",
        "optimizer=sgd,lion",
        "optimizer=sgd: optimizer.learning_rate=0.1,0.5",
        "optimizer=sgd: optimizer.momentum=0,0.9",
    )


def test_conditions_of_every_kind_of_value() -> None:
    when = {"optimizer.nesterov=true": ["optimizer.momentum=0.5,0.9"]}
    assert built("optimizer.nesterov=true", plain=["model.hidden=8,16"], when=when)[1].startswith(
        "optimizer.mom"
    )
    assert len(built("optimizer.nesterov=false", plain=["model.hidden=8,16"], when=when)) == 1
    assert built("optimizer.nesterov=true,false", plain=[], when=when)[1] == (
        "optimizer.nesterov=true: optimizer.momentum=0.5,0.9"
    )


def test_a_condition_may_hang_on_a_condition() -> None:
    when = {
        "optimizer=sgd": ["optimizer.nesterov=true,false"],
        "optimizer.nesterov=true": ["model.layers=1,2"],
    }
    made = sweep_space.build_space(["optimizer=sgd,adam"], when, [], [])
    assert made.dimensions[2].when == Condition("optimizer.nesterov (optimizer=sgd)", True)
    assert len(list(made.iterate_combinations())) == 1 + 1 + 2


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a=range(1,10,3)", (1, 4, 7)),
        ("a=range(4)", (0, 1, 2, 3)),
        ("a=range(0,1,0.25)", (0, 0.25, 0.5, 0.75)),
        ("a=range(0,0.3,0.1)", (0, 0.1, 0.2)),
        ("a=float(range(1,4))", (1, 2, 3)),
        ("a=tag(log,range(8,25,8))", (8, 16, 24)),
        ("a=sort(3,1,2)", (1, 2, 3)),
        ("a=str(1,2)", ("1", "2")),
        ("a=null,true,1e-3,'x y'", (None, True, 0.001, "x y")),
    ],
)
def test_values_are_those_that_hydra_would_sweep_over(text: str, values: tuple[object, ...]) -> None:
    found = sweep_space.parse_dimension(text).list_values()
    assert list(found) == [
        value if isinstance(value, str | None) else pytest.approx(value) for value in values
    ]
    override = arguments.parse(text)
    swept = [each.removeprefix("a=") for each in override.sweep_string_iterator()]
    parsed = [arguments.parse(f"a={each}").value() for each in swept]
    assert sorted(map(str, parsed)) == sorted(
        str(value) if not isinstance(value, float) else str(round(value, 9)) for value in found
    )


def test_a_list_is_a_choice_that_is_typed_as_it_was() -> None:
    line = "hidden=[64],[64,[1.5,true,null]],['a b',x]"
    made = sweep_space.build_space([line], {}, [], [])
    assert made.format_lines() == (line,)
    assert made.dimensions[0].choices == ("[64]", "[64,[1.5,true,null]]", "['a b',x]")
    assert [made.to_overrides(params)[0] for params in made.iterate_combinations()] == [
        f"hidden={choice}" for choice in made.dimensions[0].choices
    ]


def test_an_interval_is_whole_where_it_was_cast() -> None:
    assert sweep_space.parse_dimension("a=interval(16,64)") == Dimension(key="a", low=16, high=64)
    assert sweep_space.parse_dimension("a=tag(log,int(interval(16,64)))") == Dimension(
        key="a", low=16, high=64, log=True, is_integer=True
    )


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("optimizer.learning_rate=interval(1,0.1)", ["must go from a lower to a higher number"]),
        ("optimizer.learning_rate=interval(1,inf)", ["must go from a lower to a higher number"]),
        ("optimizer.learning_rate=tag(log,interval(0,1))", ["must begin above 0 on a log scale", "got 0"]),
        ("optimizer.learning_rate=tag(lgo,interval(0.1,1))", ["must have no tag but log", "got lgo"]),
        ("model.hidden=tag(wide,choice(8,16))", ["must have no tag but log", "got wide"]),
        ("model.hidden=8,16,8", ["model.hidden must name each value once"]),
        ("model.hidden=range(8,9)", ["must have two values at least"]),
        ("model.hidden=range(9,1,-2)", ["must have two values at least"]),
        ("optimizer=glob(*)", ["optimizer must have values to choose from"]),
        ("profile.batch_sizes=[1],[2]", ["profile.batch_sizes must have one value in a search"]),
        ("model.hidden=[1],2", ["model.hidden must have lists alone or no list"]),
        ("model.hidden=1,2 model.hidden=3,4", ["model.hidden must be searched once"]),
        ("data=digits,mnist", ["data must have one value in a search", "start one search for each data"]),
        ("trial=network,command", ["trial must have one value in a search", "one search for each trial"]),
        ("device.threads=1,2", ["device.threads must have one value", "one search for each device"]),
        ("search.trials=5,10", ["search.trials must have one value", "does not change the curve"]),
        ("+model.hidden=1,2", ["model.hidden can only be set in a search"]),
    ],
)
def test_each_mistake_is_one_line(words: str, parts: list[str]) -> None:
    with pytest.raises(BadSetting) as caught:
        built(*words.split(" "))
    text = str(caught.value)
    assert "\n" not in text
    for part in parts:
        assert part in text


@pytest.mark.parametrize(
    ("plain", "when", "part"),
    [
        ([], {}, "search.space must vary one key at least"),
        (["model.hidden"], {}, "must be key=value"),
        (["model.hidden=8"], {}, "must have values to choose from"),
        (PLAIN, {"loss=cross_entropy": []}, "search.when must depend on a key that is searched or set"),
        (PLAIN, {"optimizer": []}, "must be key=value"),
        (["model.hidden=interval(8,16)"], {"model.hidden=8": []}, "one of several named values"),
        (PLAIN, {"optimizer=sgd": ["model.hidden=1,2"]}, "model.hidden must be searched once"),
    ],
)
def test_each_mistake_in_conf_is_one_line(plain: list[str], when: dict[str, list[str]], part: str) -> None:
    with pytest.raises(BadSetting, match=part):
        built(plain=plain, when=when)


@pytest.mark.parametrize("option", [path.stem for path in sorted((CONF / "search").glob("*.yaml"))])
def test_every_search_of_conf_is_a_space(option: str) -> None:
    search = compose([f"search={option}"]).settings.search
    made = sweep_space.build_space(search.space, search.when, [], [])
    for typed, text in zip(search.space, made.format_lines(), strict=False):
        assert sweep_space.parse_dimension(typed) == sweep_space.parse_dimension(text)
    assert {"model.hidden", "optimizer"} <= set(made.keys)
