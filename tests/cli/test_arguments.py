"""Words in their three forms, and values that need quotes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.cli import arguments
from pipeline.cli.compose import compose
from pipeline.errors import BadSetting
from pipeline.settings.data import Mnist
from pipeline.settings.settings import flatten


def test_the_three_forms_say_the_same() -> None:
    plain = compose(["data=mnist", "train.epochs=3"])
    dashed = compose(["--data", "mnist", "--train.epochs=3"])
    bundled = compose(["--overrides", "data=mnist train.epochs=3"])
    assert plain == dashed == bundled
    assert isinstance(plain.settings.data, Mnist)
    assert plain.settings.train.epochs == 3


def test_a_value_that_hydra_cannot_read_bare_is_quoted() -> None:
    command_line = compose(["data=idx", "data.path=/tmp/my (own) data's"])
    assert dict(flatten(command_line.settings))["data.path"] == "/tmp/my (own) data's"


def test_a_backslash_and_quotes_survive() -> None:
    for path in ("C:\\my data\\digits", "C:\\data (mine)\\digits", "it's (mine)\\", 'say "a", b'):
        assert compose(["data=idx", f"data.path={path}"]).settings.data.path == path  # type: ignore[attr-defined]


def test_train_from_is_typed_as_it_reads() -> None:
    command_line = compose(["train.from=runs:/abc/model"])
    assert command_line.settings.train.start_from == "runs:/abc/model"
    assert compose(command_line.overrides).settings == command_line.settings


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["model.hidden"], "every word must be key=value, got 'model.hidden'"),
        (
            ["--model.hidden"],
            "--model.hidden must be followed by a value, got nothing; did you mean model.hidden=256?",
        ),
        (["overrides=a='"], "overrides must be words like a=1 b=2"),
        (
            ["--search.budget", "2", "min"],
            "--search.budget must be followed by one word, got 2 min; write --search.budget 2min",
        ),
        (["a=b\nc"], "a must be one line, got 'b\\nc'; write it without a break"),
        (
            ["a=caf\udce9"],
            "a must be text in UTF-8, got 'caf\\udce9'; write it in that, or",
        ),
        (["a\nb=1"], "'a\\nb' is not a key that can be set"),
    ],
)
def test_a_word_without_a_value_is_refused(words: list[str], text: str) -> None:
    with pytest.raises(BadSetting) as caught:
        arguments.normalise_words(words)
    assert str(caught.value).startswith(text)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\n\r"), min_size=1, max_size=12))
def test_a_quoted_value_is_read_as_it_was_typed(text: str) -> None:
    """Where Hydra can read a value bare, it may be a number, a list or the like."""
    pair = f"data.path={text}"
    try:
        quoted = arguments.quote_value(pair)
    except BadSetting:
        return
    if quoted != pair:
        assert arguments.parse(quoted).value() == text
    assert arguments.quote_value(quoted) == quoted
