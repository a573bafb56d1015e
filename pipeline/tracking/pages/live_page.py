"""The page of a study is there from its start, and follows the search.

It lies among the artifacts of the study's run, where its last state stays. Writing takes a bounded share of
the sweep's own time and none of a trial's: it is done between trials, by the process that writes the record.
"""

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from pipeline.errors import read_first_line
from pipeline.files import remove_abandoned_drafts
from pipeline.search.results import Results
from pipeline.settings.addresses import AS_EXPERIMENT, FEED, PAGE
from pipeline.tracking import mlflow_runs
from pipeline.tracking.pages.study_routes import STUDIES

FEED_SECONDS, PAGE_SECONDS = 5.0, 60.0
"""Feed and page are written at most this often; the page is some 5 MB, whatever is in it."""
LEAST_REST = 50.0
"""After a write nothing is written for so many times as long: at most 2 % of the time goes into it."""


class LivePage:
    """Writes the page of a study again and again."""

    def __init__(
        self,
        client: MlflowClient,
        run_id: str,
        runs: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare to write among the artifacts of a run. `runs`: the address before a run's id."""
        self._client, self._run_id, self._runs, self._clock = client, run_id, runs, clock
        self._folder = mlflow_runs.find_artifact_folder(client, run_id)
        self._feed_from = self._page_from = clock()
        self._is_failing = False
        if self._folder:
            remove_abandoned_drafts(self._folder)

    @property
    def path(self) -> Path | None:
        """Return the file of the page; None where artifacts lie on a server."""
        return self._folder / PAGE if self._folder else None

    @property
    def link(self) -> str:
        """Return the address of the page where `ui` serves it, or where the MLflow UI shows the artifact."""
        server, _, place = self._runs.partition("/#/")
        if self._folder:
            return f"{server}{STUDIES}/{self._run_id}"
        return f"{server}/#/{place}{self._run_id}/artifacts/{PAGE}{AS_EXPERIMENT}"

    def update(self, results: Results, is_forced: bool = False) -> None:
        """Write what the study has come to, unless that was done a moment ago and nobody forces it."""
        from pipeline.reports import study_html  # Plotly is imported once the first trial trains

        began = self._clock()
        if not is_forced and began < self._feed_from:
            return
        with_page = is_forced or began >= self._page_from
        files: dict[str, bytes] = {}
        if self._folder:
            files[FEED] = study_html.render_feed(results, self._runs).encode()
        if with_page:
            is_live = self._folder is not None
            text = study_html.render_frontier(results, self._runs, is_live=is_live)
            files[PAGE] = text.encode()
        if files:
            self._write(files)
        ended = self._clock()
        rest = LEAST_REST * (ended - began)
        self._feed_from = ended + max(FEED_SECONDS, rest)
        if with_page:
            self._page_from = ended + max(PAGE_SECONDS, rest)

    def end(self, results: Results) -> None:
        """Write the last state of a search that is stopped: nobody writes news of it from here on."""
        self._write(self.make_last_files(results))

    def make_last_files(self, results: Results) -> dict[str, bytes]:
        """Return the page of a study that has ended, and the feed that tells open pages so."""
        from pipeline.reports import study_html

        files = {PAGE: study_html.render_frontier(results, self._runs).encode()}
        if self._folder:
            files[FEED] = study_html.render_feed(results, self._runs, is_live=False).encode()
        return files

    def _write(self, files: Mapping[str, bytes]) -> None:
        """Write the files; where that is not possible say so once: the search does not need them."""
        try:
            mlflow_runs.log_files(self._client, self._run_id, files)
        except (OSError, MlflowException) as error:
            if not self._is_failing:
                reason = read_first_line(error)
                print(f"warning: the page of the study was not written ({reason})", file=sys.stderr)
            self._is_failing = True
        else:
            self._is_failing = False
