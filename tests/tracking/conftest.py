"""The store of the tests, and an experiment that is gone afterwards."""

from collections.abc import Iterator

import mlflow
import pytest

from pipeline.tracking import mlflow_store


@pytest.fixture
def client() -> mlflow.MlflowClient:
    return mlflow_store.open_store()


@pytest.fixture
def experiment(client: mlflow.MlflowClient, request: pytest.FixtureRequest) -> Iterator[str]:
    experiment_id = mlflow_store.find_or_create_experiment(client, request.node.name)
    yield experiment_id
    client.delete_experiment(experiment_id)
