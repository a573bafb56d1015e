"""One line with key, rule, value and remedy."""

import pytest

from pipeline.errors import BadSetting
from pipeline.settings.rules import MAX_NAME_BYTES, require, require_function, require_name, suggest_function


def test_a_rule_that_holds_says_nothing() -> None:
    require(True, "train.epochs", ">= 1", 3)


def test_a_broken_rule_gives_key_rule_value_and_remedy() -> None:
    with pytest.raises(BadSetting) as caught:
        require(False, "train.epochs", ">= 1", 0)
    assert str(caught.value) == "train.epochs must be >= 1, got 0; set it in conf/ or as train.epochs=..."


@pytest.mark.parametrize("name", [None, "a", "über alles 2", "a.b", "<b>$x$", "x" * MAX_NAME_BYTES])
def test_a_name_may_be_any_text_of_one_line(name: str | None) -> None:
    require_name("search.study", name, "/:")


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", " a", "a ", "a/b", "a:b", "a\nb", "\x1b[1m", "\udcff", "x" * 241, "ü" * 121, "\u2028"],
)
def test_a_name_that_a_folder_or_a_database_refuses_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(BadSetting) as caught:
        require_name("search.study", name, "/:")
    line = str(caught.value)
    assert line.isprintable()
    assert len(line) < 250
    assert line.startswith(
        "search.study must be a name of at most 240 bytes, without any of / :, or null, got "
    )


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("plain.py:train", "write plain:train"),
        ("./pkg/plain.py:train", "write pkg.plain:train"),
        ("plain.train", "write plain:train"),
        ("/home/me/plain.py:train", "start in /home/me and write plain:train"),
        ("../loops/plain:train", "start in ../loops and write plain:train"),
        ("my-loop.py:train", "rename my-loop to a name that Python can import, as my_loop"),
        *(
            (name, "")
            for name in ("pkg.plain:train", "plain", "plain:Trainer.train", ":train", "..:train", "")
        ),
    ],
)
def test_who_names_a_file_is_told_what_it_is_imported_by(name: str, remedy: str) -> None:
    assert suggest_function(name) == remedy


def test_what_cannot_be_imported_is_refused() -> None:
    require_function("trial.call", "pkg.plain:train")
    with pytest.raises(BadSetting, match=r"got \./plain:train; write plain:train$"):
        require_function("trial.call", "./plain:train")
    with pytest.raises(BadSetting, match=r"got plain; set it in conf/ or as trial.call=\.\.\.$"):
        require_function("trial.call", "plain")
