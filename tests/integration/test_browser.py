"""The MLflow UI that `python -m pipeline ui` starts, in a real headless Chromium."""

import os
import threading
from dataclasses import replace
from pathlib import Path
from wsgiref.simple_server import make_server

import mlflow
import optuna_dashboard
import pytest
import requests
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from pipeline.search.study_store import StudyStore
from pipeline.settings import addresses
from pipeline.tracking import mlflow_runs, mlflow_store
from pipeline.tracking.pages.live_page import LivePage
from tests.conftest import Run
from tests.support.studies import study

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
    browser.get(f"{ui}/{addresses.make_run_route(experiment, run.info.run_id)}")
    shows(
        browser,
        "Model registry",
        "seen in a browser",
        "cpu_seconds",
        "evaluate/test_accuracy",
        "optimizer.learning_rate",
    )
    assert "Judges" not in browser.find_element(By.TAG_NAME, "body").text, "a menu for prompts and agents"
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
    answer = requests.get(f"{ui}/health", headers={"Host": "evil.example"}, timeout=60)
    page = requests.get(
        f"{ui}/api/2.0/mlflow/experiments/search?max_results=1", headers={"Host": "evil.example"}, timeout=60
    )
    assert page.status_code == 403, (answer.status_code, page.status_code)


def test_the_page_of_a_study_is_served_beside_mlflow_and_follows_the_search(
    ui: str, browser: webdriver.Chrome
) -> None:
    client = mlflow_store.open_store()
    experiment = mlflow_store.find_or_create_experiment(client, "watched")
    run_id = mlflow_runs.create_run(client, experiment, "watched sweep", {"stage": "sweep"})
    runs = f"{ui}/#/experiments/{experiment}/runs/"
    page, results = LivePage(client, run_id, runs), study("digits")
    page.update(replace(results, trials=results.trials[:10]))
    assert page.link == f"{ui}/studies/{run_id}"
    browser.get(f"{ui}/studies")
    browser.find_element(By.LINK_TEXT, "watched sweep").click()
    WebDriverWait(browser, 240).until(lambda seen: seen.find_elements(By.CSS_SELECTOR, "#chosen pre"))
    assert browser.find_element(By.CSS_SELECTOR, "#chosen a").get_attribute("href").startswith(runs)
    page.update(results, is_forced=True)
    shows(browser, f"{len(results.trials)} trials")
    stolen = browser.execute_script(
        "try { return document.cookie + localStorage.length; } catch (e) { return e.name; }"
    )
    assert stolen == "SecurityError"  # the page is an artifact, and has no part in MLflow's address
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    foreign = requests.get(page.link, headers={"Host": "evil.example"}, timeout=60)
    assert foreign.status_code == 403


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


def test_a_study_opens_in_optunas_own_dashboard(
    fulcrum: Run, browser: webdriver.Chrome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    words = ("search=smoke", "search.study=seen", "search.workers=0", "device=cpu", "search.confirm=0")
    done = fulcrum("sweep", *words)
    assert done.returncode == 0, done.stderr
    server = make_server("127.0.0.1", 0, optuna_dashboard.wsgi(addresses.make_study_address()))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        address = f"http://127.0.0.1:{server.server_port}/dashboard"
        browser.get(address)
        shows(browser, "seen")
        assert "afterwards" not in browser.find_element(By.TAG_NAME, "body").text, "a second study"
        study = StudyStore.open_for_reading(addresses.make_study_address(), "seen")
        browser.get(f"{address}/studies/{study._id}")
        shows(browser, "seen", "accuracy", "device-seconds")
        if folder := os.environ.get("FULCRUM_SCREENSHOTS"):
            browser.save_screenshot(str(Path(folder) / "optuna-dashboard.png"))
    finally:
        server.shutdown()
