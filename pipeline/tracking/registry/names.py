"""What a name stands for in MLflow's registry, where models and prompts share their names."""

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from pipeline.errors import BadSetting
from pipeline.tracking import mlflow_runs


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


def check_name(client: MlflowClient, key: str, name: str) -> None:
    """Check that a model can be registered under the name that a key gives, before anything is trained.

    Raises:
        BadSetting: a prompt has the name.
    """
    if is_prompt(client, name):
        raise BadSetting(
            f"{key}={name} must not be that of a prompt: {describe_prompt(name)}; choose another"
        )
