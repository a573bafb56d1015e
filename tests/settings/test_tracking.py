"""Where runs are recorded and shown."""

import pytest

from pipeline.cli.compose import compose
from pipeline.errors import BadSetting
from tests.settings.refusals import exchange, remedy


@pytest.mark.parametrize("port", [0, 65536])
def test_a_port_that_does_not_exist_is_refused(port: int) -> None:
    with pytest.raises(BadSetting, match=remedy("ui.port")):
        exchange("ui.port", port)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        *(
            (f"tracking.{key}", name)
            for key in ("experiment", "register")
            for name in ("", "..", "a/b", "a:b")
        ),
        *((f"tracking.{key}", 300 * "x") for key in ("experiment", "register", "run_name")),
        *((f"tracking.{key}", "a\nb") for key in ("experiment", "register", "run_name")),
        ("tracking.run_name", ""),
        ("tracking.register", "model@best"),
        ("tracking.experiment", "it's"),
    ],
)
def test_a_name_that_mlflow_or_the_disk_refuses_is_refused_before_anything_runs(key: str, name: str) -> None:
    with pytest.raises(BadSetting, match=remedy(key)):
        exchange(key, name)


def test_a_run_may_have_any_title() -> None:
    assert exchange("tracking.run_name", "a/b: <c>").run_name == "a/b: <c>"


# ---- tags of the user's own -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "tags"),
    [
        ("tracking.tags={team: vision}", {"team": "vision"}),
        ("tracking.tags.team=vision", {"team": "vision"}),
        (
            "tracking.tags={version: 1.50, day: 2026-11-29, on: true}",
            {"version": "1.50", "day": "2026-11-29", "on": "true"},
        ),
        ("tracking.tags.version=1.50", {"version": "1.50"}),
        ("tracking.tags={2024: 010}", {"2024": "010"}),
        ("tracking.tags={mlflow.user: ann}", {"mlflow.user": "ann"}),
        ("tracking.tags={}", {}),
    ],
)
def test_tags_are_taken_as_they_were_typed(word: str, tags: dict[str, str]) -> None:
    assert dict(compose([word]).settings.tracking.tags) == tags


@pytest.mark.parametrize(
    ("word", "part"),
    [
        ("tracking.tags={study: a}", "this program does not set itself, got study"),
        ("tracking.tags={mlflow.runName: a}", "of MLflow's own only mlflow.parentRunId and mlflow.user"),
        ("tracking.tags={../x: a}", "letters, digits and _-. :/, got ../x"),
        ("tracking.tags={a@b: a}", "tracking.tags"),
        ("tracking.tags={team: null}", "must have a value for each name, got {team: null}"),
        ("tracking.tags={team: ''}", "values of 1 to 8000 letters, got team"),
        ("tracking.tags={team: [a,b]}", "names with values"),
        ("tracking.tags=vision", "must be names with values, such as {name: value}, got vision"),
        (f"tracking.tags.{251 * 'x'}=a", "keys of at most 250"),
        (f"tracking.tags.team={8001 * 'x'}", "values of 1 to 8000"),
    ],
)
def test_a_tag_that_mlflow_refuses_or_that_is_ours_is_refused(word: str, part: str) -> None:
    with pytest.raises(BadSetting) as caught:
        compose([word])
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)
