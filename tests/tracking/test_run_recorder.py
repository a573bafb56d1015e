"""What one trial leaves in MLflow."""

from dataclasses import replace

import mlflow
import pytest

from pipeline.cli.compose import compose
from pipeline.hardware.device import ClaimedDevice
from pipeline.measures import Curve, Epoch, PowerDraw
from pipeline.tracking import model_references
from pipeline.tracking.record_run import record_run
from pipeline.training.train import train
from tests.support import tiny

HELD = ClaimedDevice("cpu", "some CPU, 1 core", 1, "/CPU:0")


def test_epsilon_is_a_metric_of_each_epoch_and_in_the_models_metadata(client: mlflow.MlflowClient) -> None:
    told = tiny.told("privacy=dp_sgd privacy.noise_multiplier=2")
    with record_run(compose([]), "train", HELD) as record:
        for trained in train(tiny.prepared(), told):
            record.record_epoch(trained.curve.last)
        record.record_training(trained)
        record.record_model(trained.build_model(), trained.data, told.data, privacy=trained.privacy)
    history = [metric.value for metric in client.get_metric_history(record.run_id, "epsilon")]
    assert trained.privacy is not None
    assert 0 < history[0] < history[1] == pytest.approx(trained.privacy.epsilon)
    reference = model_references.find_model(record.run_id)
    line, epsilon = model_references.read_privacy(reference)
    assert line == trained.privacy.describe()
    assert epsilon == history[1]
    (logged,) = client.search_logged_models([record.experiment_id], f"source_run_id = '{record.run_id}'")
    about = mlflow.models.get_model_info(logged.model_uri).metadata["privacy"]
    assert about["epsilon"] == pytest.approx(history[1])
    assert about["steps"] == 22


def test_a_curve_is_there_by_epoch_and_by_cost(client: mlflow.MlflowClient) -> None:
    with record_run(compose([]), "run", HELD) as record:
        for number in (1, 2):
            record.record_epoch(
                Epoch(
                    number=number,
                    device_seconds=0.25 * number,
                    train_loss=1.0,
                    validation_loss=1.0,
                    validation_accuracy=0.4 * number,
                )
            )
    by_epoch = client.get_metric_history(record.run_id, "train/validation_accuracy")
    by_cost = client.get_metric_history(record.run_id, "curve/validation_accuracy_at_device_ms")
    assert [(point.step, point.value) for point in by_epoch] == [(1, 0.4), (2, 0.8)]
    assert [(point.step, point.value) for point in by_cost] == [(250, 0.4), (500, 0.8)]
    assert [point.value for point in client.get_metric_history(record.run_id, "cpu_seconds")] == [0.25, 0.5]


def test_a_neighbour_the_energy_and_the_price_are_recorded(client: mlflow.MlflowClient) -> None:
    epochs = (
        Epoch(
            number=1,
            device_seconds=1800.0,
            train_loss=1,
            validation_loss=1,
            validation_accuracy=0.5,
            contended=False,
            core_share=1.0,
        ),
        Epoch(
            number=2,
            device_seconds=3600.0,
            train_loss=1,
            validation_loss=1,
            validation_accuracy=0.6,
            contended=True,
            core_share=0.25,
            lost_seconds=5400.0,
            joules=90.0,
        ),
    )
    held = replace(HELD, cores=(1, 3))
    with record_run(compose([]), "run", held) as record:
        for epoch in epochs:
            record.record_epoch(epoch)
        record.record_training(tiny.trained("price.per_hour=1.5", *epochs, drawn=PowerDraw(90.0, 30.0, 0.8)))
    run = client.get_run(record.run_id)
    assert (run.data.tags["contended"], run.data.tags["cores"]) == ("true", "1,3")
    expected = {
        "train/contended_epochs": 1,
        "train/lost_seconds": 5400.0,
        "train/energy_joules": 90.0,
        "train/power_watts": 30.0,
        "train/gpu_busy": 0.8,
        "cost_usd": 1.5,
        "train/core_share": 0.25,
    }
    assert {key: run.data.metrics[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("estimated", "names"),
    [
        (False, {"train/energy_joules", "train/carbon_grams", "train/power_watts"}),
        (True, {"train/estimated_joules", "train/estimated_carbon_grams"}),
    ],
)
def test_an_estimate_of_energy_has_names_of_its_own(
    client: mlflow.MlflowClient, estimated: bool, names: set[str]
) -> None:
    epoch = Epoch(
        number=1,
        device_seconds=0.001,
        train_loss=1.0,
        validation_loss=1.0,
        validation_accuracy=0.5,
        joules=3.6e6,
        joules_estimated=estimated,
    )
    drawn = PowerDraw(3.0e6, 30.0, estimated=estimated)  # the others were drawn before a pause
    with record_run(compose([]), "run", HELD) as record:
        record.record_clock(
            Curve("some CPU", True, (epoch,)), drawn, compose(["price.carbon=400"]).settings.price
        )
    metrics = client.get_run(record.run_id).data.metrics
    assert {name for name in metrics if "joules" in name or "grams" in name or "watts" in name} == names
    assert [value for name, value in metrics.items() if "grams" in name] == [400.0]


def test_what_nobody_tells_is_absent_not_zero(client: mlflow.MlflowClient) -> None:
    epoch = Epoch(
        number=1, device_seconds=0.001, train_loss=1.0, validation_loss=1.0, validation_accuracy=0.5
    )
    with record_run(compose([]), "run", HELD) as record:
        record.record_epoch(epoch)
        record.record_training(tiny.trained("", epoch, drawn=PowerDraw()))
    run = client.get_run(record.run_id)
    assert run.data.tags["contended"] == "false"
    assert "cores" not in run.data.tags
    assert run.data.metrics["train/contended_epochs"] == 0
    absent = {
        "train/energy_joules",
        "train/estimated_joules",
        "train/power_watts",
        "train/gpu_busy",
        "train/core_share",
        "cost_usd",
    }
    assert absent.isdisjoint(run.data.metrics)
