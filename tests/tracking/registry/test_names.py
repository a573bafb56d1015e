"""Names of MLflow's registry: a prompt is no model, and a model of another tool may have no version."""

from pathlib import Path

import mlflow
import pytest

from pipeline.cli.compose import compose
from pipeline.errors import BadSetting
from pipeline.hardware.device import ClaimedDevice
from pipeline.search.study_store import StudyStore
from pipeline.tracking import mlflow_runs, study_place
from pipeline.tracking.record_run import record_run
from pipeline.tracking.registry import names
from pipeline.tracking.runs import owner_tags

TOLD = "=a prompt must not be that of a prompt: a prompt is a prompt in MLflow's registry, where models and"


def make_prompt(client: mlflow.MlflowClient, name: str) -> None:
    """Make one as `mlflow.genai.register_prompt` does it, which takes seconds to import."""
    client._get_registry_client().create_registered_model(name, {"mlflow.prompt.is_prompt": "true"})


@pytest.fixture(autouse=True)
def _prompt(client: mlflow.MlflowClient) -> None:
    if not names.is_prompt(client, "a prompt"):
        make_prompt(client, "a prompt")


def test_a_prompt_is_told_before_anything_trains(client: mlflow.MlflowClient, tmp_path: Path) -> None:
    store = StudyStore(f"sqlite:///{tmp_path / 'studies.db'}", "a prompt")
    with pytest.raises(BadSetting, match=f"^search.study{TOLD}"):
        study_place.choose_place(client, store, compose([]))
    with (
        pytest.raises(BadSetting, match=f"^tracking.register{TOLD}"),
        record_run(compose(["tracking.register='a prompt'"]), "run", ClaimedDevice("cpu", "", 1, "")),
    ):
        pass


@pytest.mark.parametrize("name", ["a model without versions", "it's another's"])
def test_a_model_of_another_tool_is_no_prompt(name: str, client: mlflow.MlflowClient) -> None:
    assert not names.is_taken(client, name)
    client.create_registered_model(name)
    assert names.is_taken(client, name)
    names.check_name(client, "search.study", name)
    client.delete_registered_model(name)


def test_a_study_adds_no_version_to_a_model_of_another_program(
    client: mlflow.MlflowClient, tmp_path: Path
) -> None:
    """Whoever serves its newest version would serve another one."""
    name = "theirs, and served"
    run_id = client.create_run(client.create_experiment("of another program")).info.run_id
    client.create_registered_model(name)
    client.create_model_version(name, "s3://bucket/model", run_id)
    client.create_model_version(name, "s3://bucket/model")
    store = StudyStore(f"sqlite:///{tmp_path / 'studies.db'}", name)
    with pytest.raises(
        BadSetting, match=f"^search.study={name} must not be that of another model: {name} is"
    ):
        study_place.choose_place(client, store, compose([]))
    mlflow_runs.set_tags(client, run_id, owner_tags.make_owner_tags())  # a run of ours
    assert names.explain_taken(client, name) is None
    client.delete_registered_model(name)


def test_a_study_goes_on_with_a_model_that_has_versions_of_a_study(client: mlflow.MlflowClient) -> None:
    client.create_registered_model("shared")
    client.create_model_version("shared", "s3://bucket/model")
    client.create_model_version("shared", "s3://bucket/model", tags={names.MEMBER: "0 1"})
    assert names.explain_taken(client, "shared") is None
    client.delete_registered_model("shared")
