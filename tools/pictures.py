"""Take the pictures of `docs/` anew in a headless Chromium: `python -m tools.pictures [NAME ...]`.

A sweep and a run over the digits are made in a fresh clone of what is committed, as for the film,
and shown by `python -m pipeline ui` and by Optuna's dashboard. Pictures are kept with a palette: a third of
the bytes, and no difference that one sees.
"""

import argparse
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen
from wsgiref.simple_server import WSGIRequestHandler, make_server

from PIL import Image, ImageColor
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from pipeline.reports.palette import BLUE, ORANGE, PALE
from tools.recording import CHECKOUT, prepare

DOCS = CHECKOUT / "docs"
SWEEP = ("sweep", "search.study=digits")
RUN = ("run", "data=digits")
COLOURS, RARE = 256, (BLUE, ORANGE, PALE)
CLOSE_ASSISTANT = """
for (const key of Object.keys(localStorage))
  if (key.includes("assistant.panelOpen")) localStorage[key] = "false";
"""
SECONDS = 240
"""A page may take so long to come up."""
SETTLED = 4.0
"""Seconds that charts move after a page has come up."""
DESK, PHONE = (1300, 1340), (390, 844)
WIDE = (1500, 1000)


class SilentHandler(WSGIRequestHandler):
    """Answers, and prints nothing of it."""

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@dataclass(frozen=True)
class Scene:
    """What there is to be looked at: the addresses of the server and of the pages."""

    address: str
    page: str
    view: str
    trials: str
    run: str
    dashboard: str


@dataclass(frozen=True)
class Picture:
    """A picture: where it is looked at, and what must be seen there; `before`: a script that sets it up."""

    find_address: Callable[[Scene], str]
    size: tuple[int, int]
    element: str
    before: str = ""


PICTURES = {
    "page": Picture(lambda scene: scene.page, DESK, "#chosen pre"),
    "page-dark": Picture(
        lambda scene: scene.page, DESK, "#chosen pre", "document.querySelector('button').click()"
    ),
    "page-phone": Picture(lambda scene: scene.page, PHONE, "#chosen pre"),
    "sweep": Picture(lambda scene: scene.view, WIDE, ".js-plotly-plot .scatterlayer path"),
    "trials": Picture(lambda scene: scene.trials, WIDE, ".ag-row"),
    "run": Picture(lambda scene: scene.run, WIDE, "table, [role=table]"),
    "optuna-dashboard": Picture(lambda scene: scene.dashboard, WIDE, ".js-plotly-plot"),
}


@contextmanager
def show(folder: Path) -> Iterator[Scene]:
    """Make a study and a run in a clone, and serve what they left."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "FULCRUM_"))}
    program = [str(folder / ".venv" / "bin" / "python"), "-m", "pipeline"]
    said = [
        subprocess.run([*program, *words], cwd=folder, env=own, check=True, capture_output=True, text=True)
        for words in (RUN, SWEEP)
    ]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    links = [re.findall(r"http://[\d.:]+(\S+)", each.stdout + each.stderr) for each in said]
    server = subprocess.Popen(
        [*program, "ui", f"ui.port={port}"],
        cwd=folder,
        env=own,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    import optuna_dashboard

    optuna_app = optuna_dashboard.wsgi(f"sqlite:///{folder / 'studies.db'}")
    dashboard = make_server("127.0.0.1", 0, optuna_app, handler_class=SilentHandler)
    threading.Thread(target=dashboard.serve_forever, daemon=True).start()
    try:
        _wait(address)
        yield Scene(
            address=address,
            page=address + next(link for link in links[1] if link.startswith("/studies/")),
            view=address + next(link for link in links[1] if "viewStateShareKey" in link),
            trials=f"{address}/{_find_list(address)}",
            run=address + next(link for link in links[0] if "/runs/" in link),
            dashboard=f"http://127.0.0.1:{dashboard.server_port}/dashboard/studies/1",
        )
    finally:
        dashboard.shutdown()
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()


def _find_list(address: str) -> str:
    """Find the link to the list of trials in the experiment's note."""
    with urlopen(f"{address}/api/2.0/mlflow/experiments/get-by-name?experiment_name=fulcrum") as answer:
        tags = {tag["key"]: tag["value"] for tag in json.load(answer)["experiment"]["tags"]}
    found = re.search(r"\[list of trials\]\((#[^)]*)\)", tags["mlflow.note.content"])
    return found[1] if found else ""


def _wait(address: str) -> None:
    """Wait until the server answers."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            with urlopen(f"{address}/health", timeout=5):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


@contextmanager
def open_browser(folder: Path) -> Iterator[webdriver.Chrome]:
    """Open a headless Chromium with a profile of its own."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        raise SystemExit("needs chromium and chromedriver on the PATH")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    words = (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
    )
    for word in (*words, "--no-first-run", "--disable-background-networking", f"--user-data-dir={folder}"):
        options.add_argument(word)
    browser = webdriver.Chrome(options=options, service=Service(driver))
    browser.set_script_timeout(SECONDS)
    try:
        yield browser
    finally:
        browser.quit()


def take(browser: webdriver.Chrome, picture: Picture, scene: Scene) -> Image.Image:
    """Take one picture."""
    width, height = picture.size
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": picture.size == PHONE},
    )
    browser.get("about:blank")  # a change of the part behind # alone would not load the page
    browser.get(picture.find_address(scene))
    WebDriverWait(browser, SECONDS).until(
        lambda seen: seen.find_elements(By.CSS_SELECTOR, picture.element), f"no {picture.element}"
    )
    time.sleep(SETTLED)
    if picture.before:
        browser.execute_script(picture.before)
        time.sleep(SETTLED)
    return Image.open(io.BytesIO(browser.get_screenshot_as_png())).convert("RGB")


def reduce_colours(image: Image.Image) -> Image.Image:
    """Give a picture a palette: its most frequent colours, and those of few dots that say something."""
    frequent = image.quantize(COLOURS - len(RARE), dither=Image.Dither.NONE).getpalette() or []
    palette = Image.new("P", (1, 1))
    palette.putpalette([*frequent, *(part for colour in RARE for part in ImageColor.getrgb(colour))])
    return image.quantize(palette=palette, dither=Image.Dither.NONE)


def main(words: Sequence[str]) -> int:
    """Take and write the pictures that are named, or all."""
    parser = argparse.ArgumentParser("python -m tools.pictures", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *PICTURES], default=[])
    parser.add_argument("--folder", type=Path, default=DOCS)
    told = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as temporary:
        clone = Path(temporary) / "fulcrum"
        prepare(clone)
        with show(clone) as scene, open_browser(Path(temporary) / "profile") as browser:
            browser.get(f"{scene.address}/#/experiments")
            time.sleep(SETTLED)  # until MLflow has opened its assistant, as it does for each new browser
            browser.execute_script(CLOSE_ASSISTANT)
            for name in told.names or PICTURES:
                path = told.folder / f"{name}.png"
                image = take(browser, PICTURES[name], scene)
                reduce_colours(image).save(path, optimize=True)
                print(f"{path}: {path.stat().st_size / 1000:.0f} kB", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
