"""What a person writes on a run's page stays; what this product wrote there is replaced."""

import mlflow
import pytest

from pipeline.tracking import mlflow_runs
from pipeline.tracking.runs import notes

MINE = "What I think of it.\n\nA second paragraph."


def test_a_text_is_replaced_where_it_was_written_and_a_persons_own_stays() -> None:
    first = notes.merge_note("", "one")
    assert first.splitlines()[1:] == ["one", "<!-- fulcrum -->"]
    assert notes.merge_note(first, "two") == notes.merge_note("", "two")
    around = f"{MINE}\n\n{first}\n\nBelow."
    assert notes.merge_note(around, "two") == f"{MINE}\n\n{notes.merge_note('', 'two')}\n\nBelow."


@pytest.mark.parametrize("before", [MINE, "`python -m pipeline run` and more of mine", "<!-- fulcrum -->"])
def test_a_persons_own_text_stands_above(before: str) -> None:
    assert notes.merge_note(before, "ours") == f"{before}\n\n{notes.merge_note('', 'ours')}"


def test_a_text_that_a_person_has_changed_is_theirs() -> None:
    changed = notes.merge_note("", "97.1 % at 5 s").replace("5 s", "5 s, too dear for us")
    assert (
        notes.merge_note(changed, "new") == f"97.1 % at 5 s, too dear for us\n\n{notes.merge_note('', 'new')}"
    )


@pytest.mark.parametrize("before", ["`python -m pipeline run`", "[See accuracy](http://x)\n\n**digits**"])
def test_what_was_written_without_marks_is_replaced(before: str) -> None:
    assert notes.merge_note(before, "new", "python -m pipeline run") == notes.merge_note("", "new")


@pytest.mark.parametrize("mine", [0, 5000, 7990])
def test_both_fit_into_a_tag_and_a_persons_own_is_whole(mine: int) -> None:
    note = notes.merge_note("x" * mine, "y" * 8000)
    assert len(note) <= mlflow_runs.TAG_LIMIT
    assert note.startswith("x" * mine)
    assert notes.merge_note(note, "z") == notes.merge_note("x" * mine, "z")


def test_the_page_of_a_run_and_its_first_text(client: mlflow.MlflowClient, experiment: str) -> None:
    first = {"command": "python -m pipeline run", mlflow_runs.NOTE: "`python -m pipeline run`"}
    run = mlflow_runs.create_run(client, experiment, "r", first)
    assert not notes.is_edited(client, run, first[mlflow_runs.NOTE])
    client.set_tag(run, mlflow_runs.NOTE, f"{first[mlflow_runs.NOTE]}\n\n{MINE}")
    assert notes.is_edited(client, run, first[mlflow_runs.NOTE])
    notes.write_note(client, run, "ours, from http://ann:geheim@h/")
    note = client.get_run(run).data.tags[mlflow_runs.NOTE]
    assert note.splitlines()[0] == MINE.splitlines()[0]
    assert "ours, from http://ann:***@h/" in note
    notes.write_note(client, run, "new")
    assert client.get_run(run).data.tags[mlflow_runs.NOTE] == notes.merge_note(MINE, "new")
