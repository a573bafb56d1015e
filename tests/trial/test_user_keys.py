"""Keys of a user's own loop are declared beside its code, and checked like ours, in one line."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.cli.compose import compose
from pipeline.cli.sweep.plan import make_plan
from pipeline.errors import BadSetting
from pipeline.search.space import read_searched_values
from pipeline.settings.command_line import CommandLine
from pipeline.settings.training import UserLoop
from pipeline.trial.loop_settings import make_settings
from pipeline.trial.user_keys import describe
from tests.support import my_loops

CALL = "tests.support.my_loops"


def compose_loop(name: str, *words: str) -> CommandLine:
    return compose(["trial=function", f"trial.call={CALL}:{name}", *words])


def values_of(command_line: CommandLine) -> dict[str, Any]:
    trial = command_line.settings.trial
    assert isinstance(trial, UserLoop)
    return trial.values


def test_a_dataclass_declares_names_types_and_defaults() -> None:
    made = compose_loop("train")
    expected = {
        "width": 32,
        "rate": 0.1,
        "name": "a",
        "bias": True,
        "kind": "flat",
        "optimizer": "sgd",
        "depth": 1,
        "limit": None,
        "layers": [8, 8],
    }
    assert values_of(made) == expected
    assert made.settings.train.epochs == 4


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("width=8", 8),
        ("rate=1", 1.0),
        ("rate=1e-3", 0.001),
        ("name=2024_01", "2024_01"),
        ("name='a b'", "a b"),
        ("bias=false", False),
        ("kind=steep", "steep"),
        ("optimizer=adam", "adam"),
        ("depth=2", 2),
        ("limit=3", 3),
        ("limit=null", None),
        ("layers=[1,2,3]", [1, 2, 3]),
    ],
)
def test_words_are_read_as_the_type_says(word: str, value: Any) -> None:
    read = values_of(compose_loop("train", word))[word.partition("=")[0]]
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("widht=8", "widht is not a setting of .*my_loops:train.*, got 8; did you mean width"),
        ("width=8.5", "width must be a whole number, got 8.5"),
        ("width=wide", "width must be a whole number, got wide"),
        ("width=true", "width must be a whole number, got true"),
        ("width=null", "width must be a whole number, got null"),
        ("width=", "width must be a whole number, got nothing"),
        ("rate=fast", "rate must be a number, got fast"),
        ("bias=1", "bias must be true or false, got 1"),
        ("kind=step", "kind must be one of flat, steep, got step; did you mean steep"),
        ("optimizer=SGD", "optimizer must be one of sgd, adam, got SGD; did you mean sgd"),
        ("optimizer=adm", "optimizer must be one of sgd, adam, got adm; did you mean adam"),
        ("depth=3", "depth must be one of 1, 2, got 3"),
        ("limit=x", "limit must be a whole number or null, got x"),
        ("layers=3", "layers must be a list, each a whole number, got 3"),
        ("layers=[a]", r"layers must be a list, each a whole number, got \[a\]"),
        ("width=1,2", "width must be one value, got several"),
        ("+width=1", r"\+width is not a setting of a trial"),
    ],
)
def test_a_wrong_word_is_one_line_with_key_rule_value_and_remedy(word: str, text: str) -> None:
    with pytest.raises(BadSetting, match=f"^{text}") as error:
        compose_loop("train", word)
    assert "\n" not in str(error.value)


def test_a_function_is_handed_its_dataclass_with_enums_and_what_every_loop_has() -> None:
    values = values_of(compose_loop("train", "kind=steep", "layers=[4]"))
    made = make_settings(f"{CALL}:train", values, {"epochs": 7, "seed": 3, "state": "s"})
    assert isinstance(made, my_loops.Options)
    assert (made.kind, made.layers, made.epochs, made.seed, made.state) == (
        my_loops.Kind.steep,
        [4],
        7,
        3,
        "s",
    )


def test_what_a_dataclass_refuses_is_one_line() -> None:
    values = values_of(compose_loop("train", "width=13"))
    with pytest.raises(BadSetting, match=r"Options refuses the settings \(ValueError: 13 brings bad luck\)"):
        make_settings(f"{CALL}:train", values, {"epochs": 1, "seed": 0, "state": None})


def test_a_function_that_declares_nothing_takes_any_key_but_one_that_is_nearly_ours() -> None:
    assert values_of(compose_loop("stateless", "start=0.5", "model=x")) == {"start": 0.5, "model": "x"}
    with pytest.raises(BadSetting, match="serach is not a setting; did you mean search"):
        compose_loop("stateless", "serach=quick")
    with pytest.raises(BadSetting, match=r"^state must be left out .*; give a key of your own another name"):
        compose_loop("stateless", "state=1")


def test_a_key_of_the_name_of_a_group_of_ours_is_the_users() -> None:
    made = compose_loop("stateless", "loss=hinge", "schedule=x", "start=1.0")
    assert read_searched_values(made, ["loss", "schedule"]) == {"loss": "hinge", "schedule": "x"}
    made = compose_loop("stateless", "loss=[64,[a,true]]")
    assert read_searched_values(made, ["loss"]) == {"loss": "[64,[a,true]]"}
    made = compose_loop("stateless", "loss=null")
    assert read_searched_values(made, ["loss", "train.epochs"]) == {"loss": None, "train.epochs": 10}
    words = ("trial=function", f"trial.call={CALL}:train", "optimizer=sgd,adam")
    assert make_plan(words).epochs == "train.epochs"


def test_a_function_that_reads_its_state_can_be_paused() -> None:
    assert describe(compose_loop("train").settings.trial).resumes  # type: ignore[arg-type]
    assert not describe(compose_loop("stateless").settings.trial).resumes  # type: ignore[arg-type]


MODULE = "def train(settings):\n    yield settings.width / 100\n"


@pytest.mark.parametrize(
    ("text", "words", "read"),
    [
        ("width: 8\nname: a\nepochs: 3\nmore: null\n", ["width=9"], {"width": 9, "name": "a", "more": None}),
        ("width: ???\n", ["width=9"], {"width": 9}),
        (
            "width: 1e-3\nrate: -.5E+2\nname: e-3\n",
            ["width=0.5"],
            {"width": 0.5, "rate": -50.0, "name": "e-3"},
        ),
        ("width: ???\n", [], "^width must be set, got nothing; add width="),
        ("width: 8\n", ["width=x"], "^width must be a whole number, got x"),
        ("width: 8\n", ["wide=x"], "^wide is not a setting of .*; did you mean width"),
        ("width: [\n", [], "must be YAML"),
        ("- width\n", [], "must map keys to their defaults, got list"),
        ("width: {a: 1}\n", [], "^width in .* must be a number"),
    ],
)
def test_yaml_beside_the_function_declares_keys(
    text: str, words: list[str], read: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"loops_{abs(hash((text, *words)))}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    (tmp_path / f"{name}.yaml").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    line = ["trial=function", f"trial.call={name}:train", *words]
    if isinstance(read, str):
        with pytest.raises(BadSetting, match=read):
            compose(line)
    else:
        made = compose(line)
        assert values_of(made) == read
        assert made.settings.train.epochs == (3 if "epochs" in text else compose([]).settings.train.epochs)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("import nowhere_to_be_found", "ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("def train(:", "SyntaxError: "),
        ("train = 3", "which is int; name a function"),
        ("async def train(settings): ...", "which is async"),
        ("", "AttributeError: module .* has no attribute 'train'"),
    ],
)
def test_a_function_that_cannot_be_had_is_one_line(
    body: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"broken_{abs(hash(body))}"
    (tmp_path / f"{name}.py").write_text(body)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(BadSetting, match=f"^trial.call must name .*got {name}:train.*{text}") as error:
        compose(["trial=function", f"trial.call={name}:train"])
    assert "\n" not in str(error.value)
    with pytest.raises(BadSetting, match=r"no attribute .*; call fulcrum_ml\.run with these words where it"):
        compose(["trial=function", "trial.call=__main__:nowhere_to_be_found"])


def test_a_file_with_the_name_of_a_loaded_module_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("json.py").write_text("def train(settings):\n    yield 0.5")
    with pytest.raises(BadSetting, match=r"got json:train \(AttributeError: .*\); rename json\.py: another"):
        compose(["trial=function", "trial.call=json:train"])


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("device: str = 'x'", "device of Settings .* must have another name"),
        ("width: tuple = ()", "width of Settings .* must be int, float"),
        ("width: Nowhere = 3", "types of Settings must be readable"),
    ],
)
def test_a_declaration_that_cannot_be_read_is_one_line(
    body: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"odd_{abs(hash(body))}"
    head = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n@dataclass\nclass Settings:\n"
    )
    (tmp_path / f"{name}.py").write_text(f"{head}    {body}\n{MODULE}")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(BadSetting, match=text):
        compose(["trial=function", f"trial.call={name}:train"])
