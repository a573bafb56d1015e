"""The MLflow UI that `python -m pipeline ui` starts, in a real headless Chromium."""

import os
from pathlib import Path

import mlflow
import pytest
import requests
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from pipeline.tracking import mlflow_store
from tests.conftest import Run

pytestmark = pytest.mark.browser


def shows(browser: webdriver.Chrome, *texts: str) -> None:
    def all_there(driver: webdriver.Chrome) -> bool:
        body = driver.find_element(By.TAG_NAME, "body").text
        return all(text in body for text in texts)

    WebDriverWait(browser, 240).until(all_there, f"the page never showed {texts}")


def test_the_run_page_shows_what_was_measured(fulcrum: Run, ui: str, browser: webdriver.Chrome) -> None:
    done = fulcrum("run", "experiment=smoke", "train.epochs=5", "tracking.run_name=seen in a browser")
    assert done.returncode == 0, done.stderr
    client = mlflow_store.open_store()
    experiment = client.get_experiment_by_name("fulcrum").experiment_id
    run = client.search_runs([experiment], order_by=["attributes.start_time DESC"], max_results=1)[0]
    browser.get(f"{ui}/#/experiments/{experiment}/runs/{run.info.run_id}")
    shows(browser, "seen in a browser", "cpu_seconds", "evaluate/test_accuracy", "optimizer.learning_rate")
    if folder := os.environ.get("FULCRUM_SCREENSHOTS"):
        browser.save_screenshot(str(Path(folder) / "run.png"))
    browser.get(
        f"{ui}/#/experiments/{experiment}/runs/{run.info.run_id}/artifacts/pictures/confusion_matrix.png"
    )
    shows(browser, "confusion_matrix.png")
    WebDriverWait(browser, 240).until(
        lambda driver: any(
            picture.get_property("naturalWidth") > 300 for picture in driver.find_elements(By.TAG_NAME, "img")
        ),
        "the confusion matrix was never drawn",
    )
    if folder:
        browser.save_screenshot(str(Path(folder) / "artifact.png"))


def test_the_ui_refuses_a_foreign_host(ui: str) -> None:
    answer = requests.get(f"{ui}/health", headers={"Host": "evil.example"}, timeout=10)
    page = requests.get(
        f"{ui}/api/2.0/mlflow/experiments/search?max_results=1", headers={"Host": "evil.example"}, timeout=10
    )
    assert page.status_code == 403, (answer.status_code, page.status_code)


def test_the_ui_is_lean(ui: str) -> None:
    import psutil

    port = int(ui.rpartition(":")[2])
    mine = [
        process
        for process in psutil.process_iter(["cmdline"])
        if str(port) in " ".join(process.info["cmdline"] or [])
    ]
    assert 1 <= len(mine) <= 3
    assert mlflow.__version__
