"""What a name stands for in MLflow's registry, where models and prompts share their names."""

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from pipeline.errors import BadSetting
from pipeline.tracking import mlflow_runs
from pipeline.tracking.runs.owner_tags import read_owner

MEMBER = "member"
"""Tag of a model and of its version: number and epoch of the point whose model it is."""
REACHED = "trained_again"
"""Tag of both where a loop, trained again for the model, came to another accuracy: that of the model."""
LOOKED_AT = 20
"""Versions of a name whose runs are looked at."""


def is_prompt(client: MlflowClient, name: str) -> bool:
    """Return whether the name is that of a prompt; a model registered under it would become its version."""
    condition = f"name = {mlflow_runs.quote(name)} AND tags.`mlflow.prompt.is_prompt` = 'true'"
    return bool(client.search_registered_models(condition, max_results=1))


def is_taken(client: MlflowClient, name: str) -> bool:
    """Return whether there is a registered model of this name, with versions or without."""
    try:
        client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return False
    return True


def describe_prompt(name: str) -> str:
    """Describe in words that a prompt has the name."""
    return f"{name} is a prompt in MLflow's registry, where models and prompts share their names"


def explain_taken(client: MlflowClient, name: str) -> str | None:
    """Explain in words who else has the name: a prompt, or a model of another program; None for nobody.

    Whoever serves `models:/NAME/latest` of that model would serve another one.
    """
    if is_prompt(client, name):
        return describe_prompt(name)
    versions = list(client.search_model_versions(f"name = {mlflow_runs.quote(name)}"))
    of_studies = any(MEMBER in version.tags for version in versions)
    if not versions or of_studies or any(_is_ours(client, version) for version in versions[:LOOKED_AT]):
        return None
    return f"{name} is a registered model of another program, whose newest version would be one of this study"


def _is_ours(client: MlflowClient, version: ModelVersion) -> bool:
    """Return whether a run of this product has made a version."""
    try:
        return bool(version.run_id) and read_owner(client.get_run(version.run_id)) is not None
    except MlflowException:  # it was removed
        return False


def check_name(client: MlflowClient, key: str, name: str) -> None:
    """Check that a model can be registered under the name that a key gives, before anything is trained.

    Raises:
        BadSetting: a prompt has the name.
    """
    if is_prompt(client, name):
        raise BadSetting(
            f"{key}={name} must not be that of a prompt: {describe_prompt(name)}; choose another"
        )


def check_study(client: MlflowClient, study: str) -> None:
    """Check that the models of a new study can be registered under its name, before anything is trained.

    Raises:
        BadSetting: somebody else has the name.
    """
    check_name(client, "search.study", study)
    if reason := explain_taken(client, study):
        raise BadSetting(f"search.study={study} must not be that of another model: {reason}; choose another")
