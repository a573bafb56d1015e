"""Names of MLflow's registry: a prompt is no model, and a model of another tool may have no version."""

from pathlib import Path

import mlflow
import pytest

from pipeline.cli.compose import compose
from pipeline.errors import BadSetting
from pipeline.hardware.device import ClaimedDevice
from pipeline.search.study_store import StudyStore
from pipeline.tracking import study_place
from pipeline.tracking.record_run import record_run
from pipeline.tracking.registry import names

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
