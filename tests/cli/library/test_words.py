"""Python's values as the words of a command line, and mistakes in one line."""

import functools
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pipeline.cli import arguments
from pipeline.cli.library import words
from pipeline.cli.sweep import space as sweep_space
from pipeline.errors import BadSetting


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((16, 1024, "log"), "tag(log,int(interval(16,1024)))"),
        ((16, 1024), "int(interval(16,1024))"),
        ((1e-4, 0.1, "log"), "tag(log,interval(0.0001,0.1))"),
        ((0.0, 1.0), "interval(0,1)"),
        ((0, 0.5), "interval(0,0.5)"),
        (range(8, 33, 8), "range(8,33,8)"),
        (range(5, 0, -2), "range(1,7,2)"),
        (["sgd", "adam"], "sgd,adam"),
        ([True, None, "null", "a, b", "it's"], "true,null,'null','a, b','it\\'s'"),
        (["adam"], "adam"),
        ([np.int64(8), np.float32(0.5)], "8,0.5"),
        (np.array([8, 16]), "8,16"),
        ({"sgd", "adam", "lion", "rmsprop", "lamb"}, "adam,lamb,lion,rmsprop,sgd"),  # the same in any process
        (frozenset({16, np.int64(8), 128, None, "all"}), "8,16,128,all,null"),
        ((np.int64(16), np.int64(1024), "log"), "tag(log,int(interval(16,1024)))"),
        (7, "7"),
        ("a b", "'a b'"),
        ([[64], (64, [64])], "[64],[64,[64]]"),
    ],
)
def test_a_range_or_choices_are_what_is_typed(values: object, text: str) -> None:
    (word,) = words.format_space({"key": values})
    assert word == f"key={text}"
    fixed, varied = sweep_space.split_words([word])
    assert [*fixed, *varied] == [word]
    if varied:
        sweep_space.parse_dimension(word)
    else:
        arguments.parse(word)


@pytest.mark.parametrize(
    "values", [(1,), (1, 2, "lin"), (1, 2, 3), (True, 2), ("a", "b"), [], [[1, object()]], {"a": 1}, object()]
)
def test_what_is_neither_is_refused_by_its_key(values: object) -> None:
    with pytest.raises(BadSetting, match=r"^width must ") as caught:
        words.format_space({"width": values})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("budget", ["2 min", "90s", "120 device-seconds", "40 trials", "0.5 usd"])
def test_a_budget_is_that_of_the_command_line(budget: str) -> None:
    assert words.format_budget(budget) == [f"search.budget={budget.replace(' ', '')}"]
    assert words.format_budget(None) == []


@pytest.mark.parametrize("budget", ["", "2", "min", "2 weeks", "0 s", "1.2.3 s", "-1 s", 120])
def test_another_budget_is_refused(budget: str) -> None:
    with pytest.raises(BadSetting, match=r"^budget must be an amount with its unit as '2 min', '40 trials'"):
        words.format_budget(budget)


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("data=mnist model.hidden=64", ["data=mnist", "model.hidden=64"]),
        ("data.path='my data'", ["data.path=my data"]),
        ("python -m pipeline run data=mnist", ["data=mnist"]),
        ("fulcrum run data=mnist", ["data=mnist"]),
        (["data=mnist"], ["data=mnist"]),
        ("run model.hidden", ["run", "model.hidden"]),
        ("", []),
    ],
)
def test_a_command_line_is_text_or_words(typed: str | list[str], read: list[str]) -> None:
    assert words.read_words(typed) == read


@pytest.mark.parametrize("typed", ["a='b", [1], 7, None, b"a=b", {"data": "mnist"}])
def test_another_command_line_is_refused(typed: str) -> None:
    with pytest.raises(BadSetting, match="must be text"):
        words.read_words(typed)


@pytest.mark.parametrize("typed", ["--help", "data=mnist --dry-run", "python -m pipeline run a=1 -m"])
def test_an_option_of_the_terminal_is_refused(typed: str) -> None:
    with pytest.raises(BadSetting, match=r"got -.*, which is for a terminal"):
        words.read_words(typed)


def test_the_words_of_a_sweep_are_no_run() -> None:
    assert words.read_words("fulcrum run a=1", "sweep") == words.read_words("sweep a=1", "sweep") == ["a=1"]
    with pytest.raises(BadSetting, match="got those of a sweep; call sweep"):
        words.read_words("python -m pipeline sweep a=1", "run")


@pytest.mark.parametrize("space", ["w=1,2", [("w", 1, 2)], {3: [1, 2]}, {"": [1, 2]}, {"w=1": [1, 2]}])
def test_a_space_that_is_no_mapping_of_names_is_refused(space: Any) -> None:
    with pytest.raises(BadSetting, match=r"^space must"):
        words.format_space(space)


def test_a_function_in_the_place_of_words_is_told_how_it_is_named() -> None:
    with pytest.raises(
        BadSetting, match=r"got a function; write trial=function trial\.call=.*test_words:train"
    ):
        words.read_words(train)  # type: ignore[arg-type]


def train() -> None:
    """Stand for a function of a user's."""


def test_a_function_has_a_name_by_which_another_process_finds_it() -> None:
    def inner() -> None: ...

    assert words.name_function(train) == "tests.cli.library.test_words:train"
    nameless: list[Callable[..., None]] = [inner, lambda: None]
    for function in nameless:
        with pytest.raises(BadSetting, match="must stand at the top of a module"):
            words.name_function(function)


class Called:
    def __call__(self) -> None: ...


bound, called = functools.partial(train), Called()


def test_what_has_no_name_of_its_own_is_found_by_that_of_its_module() -> None:
    assert words.name_function(bound) == "tests.cli.library.test_words:bound"
    assert words.name_function(called) == "tests.cli.library.test_words:called"
    with pytest.raises(BadSetting, match="must stand at the top of a module"):
        words.name_function(functools.partial(train))


def test_a_function_that_its_module_has_not_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    @functools.wraps(train)
    def wrapped() -> None: ...

    with pytest.raises(
        BadSetting, match=r"must be what tests\.cli\.library\.test_words has by its name, got another"
    ):
        words.name_function(wrapped)
    monkeypatch.setattr(sys.modules[__name__], "train", wrapped)  # as a decorator does
    assert words.name_function(wrapped) == "tests.cli.library.test_words:train"
