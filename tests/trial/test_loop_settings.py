"""What a function is handed is what it declares, can be copied, and holds epochs, seed and state."""

import copy
import pickle
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli.compose import compose
from pipeline.errors import BadSetting, LoopFailed
from pipeline.settings.training import Function
from pipeline.trial.loop_settings import make_settings
from pipeline.trial.user_loop import train_loop
from tests.support import odd_loops

FILLED = {"epochs": 3, "seed": 1, "state": None}


def make(name: str, **values: Any) -> Any:
    return make_settings(f"tests.support.odd_loops:{name}", values, FILLED)


def settings_of(name: str, *words: str) -> Any:
    call = f"trial.call=tests.support.odd_loops:{name}"
    return compose(["trial=function", call, "device.pin=false", *words]).settings


def accuracies(name: str, *words: str) -> list[float]:
    *_, last = train_loop(settings_of(name, *words))
    return [epoch.validation_accuracy for epoch in last.curve.epochs]


def test_settings_without_a_declaration_are_a_dictionary_with_attributes() -> None:
    made = make("resuming", width=8, items=2)
    assert (made.width, made["width"], made.items, made["items"], made.get("epochs")) == (8, 8, 2, 2, 3)
    assert {**made} == dict(made) == vars(made) == {"width": 8, "items": 2, **FILLED}
    made.more = 5
    assert made["more"] == 5
    for again in (pickle.loads(pickle.dumps(made)), copy.deepcopy(made)):
        assert again == made
        assert again.more == 5


@pytest.mark.parametrize("name", ["slotted", "modelled"])
def test_what_is_handed_can_be_copied_as_what_was_declared(name: str) -> None:
    made = make(name)
    for again in (pickle.loads(pickle.dumps(made)), copy.deepcopy(made)):
        assert isinstance(again, odd_loops.Slots | odd_loops.Model)
        assert (again.epochs, again.seed, again.state) == (made.epochs, made.seed, made.state) == (3, 1, None)


def test_a_choice_may_be_left_open_where_its_type_says_so() -> None:
    made = settings_of("slotted", "tint=null", "method=null").trial.values
    assert (made["tint"], made["method"]) == (None, None)
    assert make("slotted", **made).tint is None
    for word in ("tint=pale", "tints=[null]"):
        with pytest.raises(BadSetting, match=r"must be (a list, each )?one of light, dark"):
            settings_of("slotted", word)


@pytest.mark.parametrize("name", ["needing", "Needy", "needy_callee", "needy_part", "half_hidden"])
def test_whatever_is_called_its_parameter_declares_the_keys(name: str) -> None:
    assert isinstance(make(name, width=3), odd_loops.Needing)
    assert accuracies(name, "width=3") == [0.3]
    with pytest.raises(BadSetting, match=r"widht is not a setting of Needing .*; did you mean width"):
        settings_of(name, "widht=3")


def test_a_tuple_and_a_model_of_pydantic_are_handed_as_such() -> None:
    assert accuracies("slotted", "betas=[0.25,0.5]") == [0.5]
    assert accuracies("modelled") == [0.1]
    assert accuracies("modelled", "rate=0.25", "limit=3") == [0.25]  # which pydantic knows by an alias alone
    assert accuracies("slotted", "width=4", "scale=2") == [0.75]
    made = make("slotted", betas=(0.1, 0.2), folder="a b", others=["x"])
    assert (made.folder, made.others, made.tints) == (Path("a b"), [Path("x")], [odd_loops.Tint.light])
    assert make("slotted", tints=["dark"]).tints == [odd_loops.Tint.dark]
    assert accuracies("slotted") == [0.75]
    made = make("modelled", rate=0.5, layers=[1, 2])
    assert (made.rate, made.layers, made.epochs) == (0.5, (1, 2), 3)


@pytest.mark.parametrize(
    ("name", "words", "text"),
    [
        ("modelled", "rate=fast", "^rate must be a number, got fast"),
        ("modelled", "limit=few", "^limit must be a whole number or null, got few"),
        ("needing", "seed=1", "^width must be set, got nothing; add width="),
        ("slotted", "width=wide", "^width must be a whole number, got wide"),
        ("slotted", "scale=big", "^scale must be a number, got big"),
        ("modelled", "rato=1", "^rato is not a setting of Model .*; did you mean rate"),
        ("slotted", "betas=[1]", r"^betas must be a list of 2, each a number, got \[1\]"),
        ("of_tuple", "width=1", "Tuple must be a dataclass or a model of pydantic, got a named tuple"),
        ("of_typed", "width=1", "Typed must be a dataclass or a model of pydantic, got a TypedDict"),
        ("spread", "rate=1", r"with the parameters \(rate: Any = 0.1, .*; write def spread\(settings\)"),
        ("plain", "rate=1", r"with the parameters \(rate: float\); write def plain\(settings\)"),
        ("nothing", "rate=1", r"with the parameters \(\); write def nothing\(settings\)"),
        ("resuming", "step=2", "^step must be read from the settings, got a parameter step of"),
    ],
)
def test_what_does_not_fit_is_told_before(name: str, words: str, text: str) -> None:
    with pytest.raises(BadSetting, match=text) as error:
        settings_of(name, words)
    assert "\n" not in str(error.value)


def test_what_a_model_refuses_is_one_line() -> None:
    with pytest.raises(
        BadSetting, match=r"Model refuses the settings \(rate: Input should be greater than 0\)"
    ):
        make("modelled", rate=-1.0)


@pytest.mark.parametrize("name", ["Trainer", "called", "part", "wrapped", "helped"])
def test_what_yields_need_not_be_a_plain_function(name: str) -> None:
    first = 0.2 if name == "part" else 0.1
    assert accuracies(name, "epochs=2") == pytest.approx([first, first + 0.1])


@dataclass
class Narrow:
    """Keys of a cell."""

    width: int = 3


@pytest.mark.parametrize("name", ["later", "awaited"])
def test_what_is_async_behind_a_plain_call_is_one_line(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(LoopFailed, match="got one that is async; leave that out"):
            accuracies(name)


def test_a_cell_that_is_run_again_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def train(settings: Any) -> Iterator[float]:
        yield settings.width / 10

    def again(settings: Narrow) -> Iterator[float]:
        yield settings.width / 10

    found = []
    for function in (train, again):
        monkeypatch.setattr("__main__.cell", function, raising=False)
        trial = compose(["trial=function", "trial.call=__main__:cell", "width=5"]).settings.trial
        assert isinstance(trial, Function)
        found.append(trial.values["width"])
        monkeypatch.setattr("__main__.Settings", None, raising=False)
    assert found == [5, 5]
    with pytest.raises(BadSetting, match=r"widht is not a setting of Narrow"):
        compose(["trial=function", "trial.call=__main__:cell", "widht=5"])
