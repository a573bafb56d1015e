"""The end of a study: models of the frontier kept and registered, pictures and a note on its run."""

from typing import TYPE_CHECKING

from pipeline.reports import study_markdown, study_pairs, study_plots
from pipeline.search.ends.standstill import PICTURES
from pipeline.search.importance import compute_importances
from pipeline.tracking.registry.study_models import register_models

if TYPE_CHECKING:
    from pipeline.search.sweep import Sweep
    from pipeline.tracking.pages.live_page import LivePage
    from pipeline.tracking.study_recorder import StudyRecorder

PAIRS = "frontier_pairs.png"


def publish_study(task: "Sweep", record: "StudyRecorder", link: str, page: "LivePage") -> None:
    """Publish all that a person looks for at the end of a study: models, pictures, its page and a note."""
    results = task.results
    register_models(task, record)
    task.observer.begin_phase(PICTURES, 1)
    keys = compute_importances(results)
    files: dict[str, bytes] = {
        "frontier.png": study_plots.draw_frontier(results),
        "hypervolume.png": study_plots.draw_progress(results),
        **page.make_last_files(results),
    }
    if results.further:
        files[PAIRS] = study_pairs.draw_pairs(results)
    if keys:
        files["importance.png"] = study_plots.draw_importance(results.study, keys)
    record.log_files(files)
    note = study_markdown.write_note(results, link, page.link)
    picture = f"\n\n![in pairs](get-artifact?path={PAIRS}&run_uuid={record.run_id})" if PAIRS in files else ""
    record.write_note(note + picture)
