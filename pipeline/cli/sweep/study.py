"""A sweep over one study: it is opened with its record and its screen, searched, confirmed and shown."""

import errno
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import output, signals
from pipeline.cli.compose import compose
from pipeline.cli.frontier.export import PAGE_FILE
from pipeline.cli.sweep import ending, expectation
from pipeline.cli.sweep import plan as plans
from pipeline.cli.sweep.observer import StudyObserver
from pipeline.cli.sweep.screen import Screen
from pipeline.cli.sweep.trial_composer import TrialComposer
from pipeline.cli.ui import find_base_address
from pipeline.data.quality.report import describe_quality
from pipeline.errors import BadInput, FulcrumError
from pipeline.files import can_be_written, expand_home, explain_unwritable_cache, remove_abandoned_drafts
from pipeline.settings.addresses import AS_EXPERIMENT
from pipeline.settings.command_line import CommandLine
from pipeline.settings.settings import Settings

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from pipeline.data.quality.report import QualityReport
    from pipeline.frontier_sampler.curves.costs import Work
    from pipeline.hardware.device import ClaimedDevice
    from pipeline.search.estimation.validation_split import ValidationSplit
    from pipeline.search.results import Results
    from pipeline.search.study_store import StudyStore
    from pipeline.search.sweep import Sweep
    from pipeline.search.sweep_spec import SweepSpec
    from pipeline.search.workers.pool import WorkerPool


class NothingFound(FulcrumError):
    """No trial of a search has come to a point."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a study is about: its prepared data, or a loop of the user's own, which tells less.

    `source`: SHA-256 (hex) of the data, or of the code; `split`: what accuracies are counted on; `work`: what
    an epoch of some params takes; `quality`: what was found in the data. They are None where nobody knows.
    """

    source: str
    split: "ValidationSplit | None" = None
    work: "Work | None" = None
    quality: "QualityReport | None" = None


def search_study(
    plan: plans.SweepPlan, address: str, device: "ClaimedDevice", subject: Subject, pool: "WorkerPool"
) -> None:
    """Open the study and its record, search, and show what was found."""
    from pipeline.search import study_store
    from pipeline.search.study_identity import bind_study
    from pipeline.search.sweep import Sweep
    from pipeline.tracking import mlflow_runs, mlflow_store, study_place
    from pipeline.tracking.pages.live_page import LivePage
    from pipeline.tracking.runs import orphans
    from pipeline.tracking.study_recorder import record_study
    from pipeline.tracking.study_runs import StudyKey

    command_line, search = plan.command_line, plan.command_line.settings.search
    about = plan.describe_study(device.name)
    name = search.study or plan.default_name(device.name)
    client = mlflow_store.open_store()
    mlflow_runs.check_user_tags(client, command_line)
    orphans.end_orphans(client)
    store = study_store.StudyStore(address, name, about)
    experiment_id = _choose_place(client, store, command_line)
    data_digests = plan.fingerprint_data(subject.source)
    identity = bind_study(store, data_digests)
    _write_subject(store, subject)
    spec = _make_spec(plan, f"{name}-{identity}", data_digests, subject.work)
    _require_checkpoints(store, spec.checkpoints)
    remove_abandoned_drafts(spec.checkpoints)
    study_place.write_place(client, store, experiment_id)
    study = StudyKey(name, identity, experiment_id)
    expected = expectation.find_expectation(address, plan, device.name, name)
    with (
        closing(store),
        ending.show_where_stopped() as stopped,
        record_study(client, command_line, study, device.kind, store.exclusive) as recorder,
        _make_screen(name, command_line.settings, device.kind) as screen,
    ):
        if subject.split is not None:
            recorder.record_validation_split(subject.split)
        if subject.quality is not None:
            recorder.record_quality(subject.quality)
        recorder.record_objectives(search.objectives)
        base = find_base_address(command_line.settings.ui)
        runs = f"{base}/#/experiments/{experiment_id}/runs/"
        page = LivePage(client, recorder.run_id, runs)
        if page.path:
            store.write_attr(PAGE_FILE, str(page.path))
        screen.show_plan(
            [*plan.describe_search(), *expected], f"{runs}{recorder.run_id}{AS_EXPERIMENT}", page.link
        )
        observer = StudyObserver(recorder, screen, store, device.name, page, base)
        sweep = Sweep(spec, plan.epochs, store, pool, observer)
        stopped.follow(sweep, observer)
        with store.explain_deleted(), store.heartbeat():
            _search_and_confirm(sweep, observer)
    _show(sweep, observer)


def _write_subject(store: "StudyStore", subject: Subject) -> None:
    """Write into the study what its readers must know of the data, where that is not there yet."""
    from pipeline.search.trial_rows import REMARKS, VALIDATION

    remarks = [] if subject.quality is None else list(describe_quality(subject.quality))
    values: dict[str, object] = {REMARKS: remarks} if remarks else {}
    if subject.split is not None:
        values[VALIDATION] = subject.split.to_dict()
    attrs = store.read_attrs()
    for name, value in values.items():
        if attrs.get(name) != value:
            store.write_attr(name, value)


def _make_spec(
    plan: plans.SweepPlan, folder: str, data_digests: Mapping[str, str], work: "Work | None"
) -> "SweepSpec":
    from pipeline.search.sweep_spec import SweepSpec

    return SweepSpec(
        command_line=plan.command_line,
        fixed=plan.fixed,
        space=plan.space,
        compose=TrialComposer(compose),
        checkpoints=_get_checkpoint_folder(plan.command_line, folder),
        sources=data_digests,
        work=work,
    )


def _make_screen(study: str, settings: Settings, device: str) -> Screen:
    search = settings.search
    return Screen(
        study,
        search.most_trials if search.is_capped else None,
        search.budget_device_seconds,
        device,
        settings.measure,
        seeds=search.confirm,
        price=settings.price,
    )


def _choose_place(client: "MlflowClient", store: "StudyStore", command_line: CommandLine) -> str:
    """Return the experiment of the study; where it is refused, a study that was made for it is gone again."""
    from pipeline.tracking import study_place

    try:
        return study_place.choose_place(client, store, command_line)
    except BadInput:
        store.discard_if_empty()
        raise


def _require_checkpoints(store: "StudyStore", folder: Path) -> None:
    """Raise where no trial could keep its state, as beside a cache that another user has begun.

    Raises:
        CacheUnusable: the folder is another user's; a study that was made for it is gone again.
    """
    if not can_be_written(folder):
        store.discard_if_empty()
        raise explain_unwritable_cache(folder, PermissionError(errno.EACCES, "Permission denied"))


def _search_and_confirm(sweep: "Sweep", observer: StudyObserver) -> None:
    """Run search and confirmation; where it is stopped, show what it has come to."""
    from pipeline.search.confirmation import confirm

    try:
        sweep.run()
        if sweep.spec.search.confirm:
            confirm(sweep)
        observer.finish(sweep)
    except BaseException as error:
        if signals.is_stop(error):
            with signals.hold_back():
                observer.show_stopped(sweep.results)
        raise
    finally:
        with signals.hold_back():
            sweep.close()
    _require_point(sweep.results)


def _require_point(results: "Results") -> None:
    """Raise where no trial has come to a point.

    Raises:
        NothingFound: the study has trials, and no point.
    """
    if results.trials and not results.frontier:
        last = results.trials[-1]
        chance = "no better than chance, so train longer or on more data"
        reason = last.reason or (chance if last.points else "it gave no reason")
        losses = f" ({results.describe_losses()})" if results.failed_seconds else ""
        raise NothingFound(
            f"{_name_all(len(results.trials))} of study {results.study} came to a point{losses}, "
            f"the last one {last.state}: {reason}; repeat it with: {last.command}"
        )


def _name_all(trials: int) -> str:
    return "not the one trial" if trials == 1 else f"none of the {trials} trials"


def _show(sweep: "Sweep", observer: StudyObserver) -> None:
    if output.hand_over(sweep.results):
        return
    ending.show_end(sweep, observer.link)


def _get_checkpoint_folder(command_line: CommandLine, name: str) -> Path:
    return expand_home(command_line.settings.cache_dir).absolute().parent / "checkpoints" / name
