"""A command line as a value: words replaced, left out and looked up."""

import json
import pickle
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as some

from pipeline.cli.compose import compose
from pipeline.settings.command_line import Overrides, group_of, key_of, split_word

KEYS = ("model", "model.hidden", "optimizer", "optimizer.beta1", "search.trials", "ui.port", "record", "data")
WORDS = some.builds("{}={}".format, some.sampled_from(KEYS), some.sampled_from(("1", "a=b", "", "[1,2]")))
COMMANDS = some.lists(WORDS, max_size=8).map(Overrides)


def test_it_is_a_tuple_wherever_one_is_needed() -> None:
    words = Overrides(["model.hidden=8", "data=digits"])
    assert words == ("model.hidden=8", "data=digits")
    assert hash(words) == hash(("model.hidden=8", "data=digits"))
    assert json.dumps(words) == '["model.hidden=8", "data=digits"]'
    assert shlex.join(words) == "model.hidden=8 data=digits"
    back = pickle.loads(pickle.dumps(words))
    assert (back, type(back)) == (words, Overrides)


def test_with_replaces_the_same_key_and_appends() -> None:
    words = Overrides(["optimizer=sgd", "optimizer.learning_rate=0.1", "model.hidden=8"])
    assert words.with_("optimizer=adam", "train.epochs=3") == (
        "optimizer.learning_rate=0.1",
        "model.hidden=8",
        "optimizer=adam",
        "train.epochs=3",
    )


def test_without_a_group_leaves_none_of_its_values() -> None:
    words = Overrides(["optimizer=sgd", "optimizer.learning_rate=0.1", "model.hidden=8", "models=x"])
    assert words.without("optimizer") == ("model.hidden=8", "models=x")
    assert words.without("optimizer.learning_rate", "model") == ("optimizer=sgd", "models=x")


def test_the_trial_part_is_what_one_trial_needs() -> None:
    words = Overrides(
        [
            "experiment=article",
            "search=quick",
            "search.trials=5",
            "pruning=none",
            "diagnose.steps=2",
            "tracking.experiment=x",
            "ui.port=5001",
            "trained=abc",
            "record=model",
            "data_dir=/d",
            "price=t4",
            "model.hidden=8",
        ]
    )
    assert words.trial_part() == (
        "experiment=article",
        "pruning=none",
        "data_dir=/d",
        "price=t4",
        "model.hidden=8",
    )


def test_a_measure_that_epochs_are_scored_by_is_part_of_a_trial() -> None:
    words = Overrides(["search.trials=5", "search.objective=balanced_accuracy", "model.hidden=8"])
    assert words.trial_part() == ("model.hidden=8", "search.objective=balanced_accuracy")
    assert Overrides(["search.objective=accuracy"]).trial_part() == ()
    attacked = ["search.objective=accuracy_under_attack", "evaluate.attack=pgd"]
    assert Overrides(attacked).trial_part() == tuple(reversed(attacked))
    third = "search.objectives=[accuracy,cost,accuracy_under_attack]"
    assert Overrides([third, "search.trials=2"]).trial_part() == (third,)
    assert Overrides(["search.objectives=[accuracy,cost,size_mb]"]).trial_part() == ()


def test_the_last_word_of_a_key_counts() -> None:
    words = Overrides(["a=1", "b=x=y", "a=2", "c"])
    assert words.find("a") == "a=2"
    assert words.find("b") == "b=x=y"
    assert words.find("d") is None
    assert words.to_dict() == {"a": "2", "b": "x=y", "c": ""}
    assert words.keys == ("a", "b", "a", "c")


@pytest.mark.parametrize(
    ("word", "key", "value"),
    [("a.b=1", "a.b", "1"), ("a=", "a", ""), ("a=b=c", "a", "b=c"), ("~a.b", "~a.b", None), ("", "", None)],
)
def test_a_word_is_split_at_its_first_sign(word: str, key: str, value: str | None) -> None:
    assert split_word(word) == (key, value)
    assert key_of(word) == key


def test_the_group_of_a_key() -> None:
    assert [group_of(key) for key in ("train.epochs", "data", "")] == ["train", "data", ""]


@given(COMMANDS, COMMANDS)
def test_with_ends_in_the_new_words_and_keeps_the_order_of_the_others(old: Overrides, new: Overrides) -> None:
    both = old.with_(*new)
    assert both[len(both) - len(new) :] == new
    others = both[: len(both) - len(new)]
    assert others == tuple(word for word in old if key_of(word) not in new.keys)
    assert both.to_dict() == {**old.to_dict(), **new.to_dict()}
    assert both.with_(*new) == both


@given(COMMANDS, some.sets(some.sampled_from(KEYS)))
def test_without_leaves_nothing_of_the_keys_and_all_of_the_others(old: Overrides, keys: set[str]) -> None:
    rest = old.without(*keys)
    assert isinstance(rest, Overrides)
    assert not {*rest.keys, *map(group_of, rest.keys)} & keys
    assert set(old) - set(rest) == {word for word in old if {key_of(word), group_of(key_of(word))} & keys}
    assert rest.without(*keys) == rest


@given(COMMANDS)
def test_the_trial_part_of_a_trial_part_is_itself(words: Overrides) -> None:
    assert words.trial_part().trial_part() == words.trial_part()


def test_a_command_line_repeats_itself_in_a_shell() -> None:
    row = compose(["data=digits", "tracking.run_name=two words"])
    assert row.command_line("run") == shlex.join(["python", "-m", "pipeline", "run", *row.overrides])
    again = shlex.split(row.command_line("run"))[4:]
    assert compose(again) == row


def test_a_later_word_for_the_same_key_replaces_an_earlier_one() -> None:
    words = Overrides(("a=1", "g=x", "a=2", "g.v=3", "g=y", "a=3"))
    assert words.drop_superseded() == ("g.v=3", "g=y", "a=3")


def test_what_is_left_says_the_same() -> None:
    words = ["train.seed=1", "optimizer=sgd", "train.seed=2", "optimizer=adam", "optimizer.beta1=0.5"]
    command_line = compose(words)
    again = compose(command_line.overrides)
    assert (again.settings, again.choices) == (command_line.settings, command_line.choices)
    assert again.settings == compose(words).settings


def test_two_hundred_repeated_words_are_one_each() -> None:
    words = [word for number in range(200) for word in (f"train.seed={number}", f"data_dir=/some/{number}")]
    assert compose(words).overrides == ("train.seed=199", "data_dir=/some/199")


@pytest.mark.parametrize(
    ("words", "engine", "named"),
    [
        (["model=cnn"], "graph", True),
        (["model=cnn", "engine=auto"], "graph", True),
        (["model=cnn", "engine=keras"], "keras", False),
        (["model=cnn"], "", False),  # it failed before there was one
        (["model.hidden=8"], "xla", False),  # by a rule
    ],
)
def test_the_engine_that_was_measured_is_part_of_the_command(
    words: list[str], engine: str, named: bool
) -> None:
    command = shlex.split(compose(words).name_engine(engine).command_line("run"))
    kept = [word for word in words if not (named and word.startswith("engine="))]
    assert command[4:] == [*kept, *([f"engine={engine}"] if named else [])]
