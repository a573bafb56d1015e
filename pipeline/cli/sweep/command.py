"""`sweep`: search, confirm, record, and show the frontier."""

import math
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from pipeline import output, signals
from pipeline.cli import arguments
from pipeline.cli.compose import compose, compose_ours
from pipeline.cli.frontier.export import PAGE_FILE
from pipeline.cli.loops.words import find_kind
from pipeline.cli.sweep import ending, expectation
from pipeline.cli.sweep import plan as plans
from pipeline.cli.sweep.observer import StudyObserver
from pipeline.cli.sweep.screen import Screen
from pipeline.cli.ui import find_base_address
from pipeline.errors import BadInput, BadModel, BadSetting, FulcrumError
from pipeline.files import expand_home, remove_abandoned_drafts
from pipeline.search.workers.job_kinds import check_settings
from pipeline.secrets import mask
from pipeline.settings import addresses
from pipeline.settings.command_line import CommandLine, format_command
from pipeline.settings.rows_defaults import choose_words
from pipeline.settings.searching.cluster import ClusterKind
from pipeline.settings.searching.objectives import ENERGY
from pipeline.settings.settings import Settings
from pipeline.settings.training import UserLoop
from pipeline.trial import user_keys

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from pipeline.data.prepared import Prepared
    from pipeline.frontier_sampler.observations import Work
    from pipeline.hardware.device import ClaimedDevice
    from pipeline.search.estimates import ValidationSplit
    from pipeline.search.results import Results
    from pipeline.search.study_store import StudyStore
    from pipeline.search.sweep import Sweep
    from pipeline.search.sweep_spec import SweepSpec
    from pipeline.search.workers.pool import WorkerPool

P = ParamSpec("P")
T = TypeVar("T")


DRY_RUN = "--dry-run"
"""Check the words and say what would happen; train and record nothing."""


class NothingFound(FulcrumError):
    """No trial of a search has come to a point."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a study is about: its prepared data, or a loop of the user's own, which tells less.

    `source`: SHA-256 (hex) of the data, or of the code; `split`: what accuracies are counted on; `work`: what
    an epoch of some params takes. Both are None where nobody knows.
    """

    source: str
    split: "ValidationSplit | None" = None
    work: "Work | None" = None


def run(words: Sequence[str]) -> None:
    """Run the search that the words describe.

    Raises:
        NothingFound: no trial came to a point.
        BadInput: the words, the storage or the data are at fault; nothing was begun.
        SearchStopped: a trial showed an error of the program.
    """
    if find_kind(arguments.normalise_words(word for word in words if word != DRY_RUN)):
        _run_loop(words)
        return
    plan = plans.make_plan([word for word in words if word != DRY_RUN])
    address, settings = _check_quickly(plan), plan.command_line.settings
    for line in plan.left_out:
        print(line, file=sys.stderr)
    if DRY_RUN in words:
        _print_plan(plan, address)
        return
    pool, device = _open_pool(settings)
    with closing(pool):
        from pipeline.search.energy_objective import check_energy
        from pipeline.trial.network import forget_prepared, load_prepared

        pool.call(check_energy, settings.search.objectives, device)
        words, plan = _settle_energy(words, plan, device, pool)
        settings = plan.command_line.settings
        forget_prepared()
        prepared = load_prepared(settings, settings.search.under_shift)
        if chosen := choose_words(plan.command_line, len(prepared.train), plan.space.keys):
            plan = plans.make_plan([*chosen, *words])
        _check_network(plan, pool)
        _search_study(plan, address, device, _describe_data(settings, prepared), pool)


def _settle_energy(
    words: Sequence[str], plan: plans.SweepPlan, device: "ClaimedDevice", pool: "WorkerPool"
) -> tuple[Sequence[str], plans.SweepPlan]:
    """Name the energy that the device of the trials can give; a study has either of the two kinds."""
    from pipeline.search.energy_objective import settle_energy

    names = plan.command_line.settings.search.objectives
    settled = _call(pool, settle_energy, names, device) if ENERGY in names else names
    if settled == names:
        return words, plan
    words = [*(word for word in words if word != DRY_RUN), f"search.objectives=[{','.join(settled)}]"]
    found = next(name for name in settled if name not in names)
    print(f"search.objectives: {ENERGY} is {found} on {device.name}", file=sys.stderr)
    return words, plans.make_plan(words)


def _print_plan(plan: plans.SweepPlan, address: str) -> None:
    expected = expectation.find_expectation(address, plan, study=plan.command_line.settings.search.study)
    print("\n".join([*plan.describe_search(), *expected]))


def _describe_data(settings: Settings, prepared: "Prepared") -> Subject:
    from pipeline.search import epoch_work
    from pipeline.search.estimates import ValidationSplit

    work = epoch_work.make_epoch_work(
        settings, len(prepared.train), math.prod(prepared.shape), prepared.outputs
    )
    return Subject(
        prepared.source_sha256, ValidationSplit.count(prepared.validation.labels, settings.measure), work
    )


def _run_loop(words: Sequence[str]) -> None:
    """Search over a training loop of the user's own.

    A worker imports the user's module and tells what its keys are while this process imports what it needs
    itself; the same worker trains afterwards.

    Raises:
        BadInput: the function, its keys, the words or the storage are at fault; nothing was begun.
    """
    typed = [word for word in words if word != DRY_RUN]
    pool, device = _open_pool(compose_ours(typed).settings)
    with closing(pool):
        loop = compose_ours(typed).settings.trial
        assert isinstance(loop, UserLoop)
        importing = threading.Thread(target=_import_for_loops)
        importing.start()
        user_keys.remember(loop, _call(pool, user_keys.describe, loop))
        importing.join()
        plan = plans.make_plan(typed)
        address = _check_quickly(plan)
        for line in plan.left_out:
            print(line, file=sys.stderr)
        _call(pool, check_settings, plan.command_line.settings, under_shift=False)
        if DRY_RUN in words:
            _print_plan(plan, address)
            return
        _, plan = _settle_energy(typed, plan, device, pool)
        _search_study(plan, address, device, Subject(user_keys.describe(loop).code), pool)


def _import_for_loops() -> None:
    """Import what a sweep needs, while a worker imports what the user's function needs."""
    for name in ("pipeline.search.sweep", "pipeline.search.confirmation", "pipeline.tracking.study_recorder"):
        import_module(name)


def _call(pool: "WorkerPool", function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what a function returns where a trial would run.

    Raises:
        BadSetting: the process ended meanwhile.
        BadInput: what the function raises.
    """
    from pipeline.search.workers.pool import WorkerLost

    try:
        return pool.call(function, *args, **kwargs)
    except WorkerLost as error:
        raise BadSetting(
            f"trial.call must name a function that can be imported, got one that failed: {error}; mend it"
        ) from None


def _open_pool(settings: Settings) -> "tuple[WorkerPool, ClaimedDevice]":
    """Return what trains the trials, and the device that each of them will hold.

    Raises:
        BadInput: the device is not there, or the cluster cannot be joined.
    """
    from pipeline.search.workers import fork_server

    if settings.cluster.kind is ClusterKind.ray:
        from pipeline.search.workers.cluster.address import check_cluster

        check_cluster(settings.cluster)  # before TensorFlow is imported
        from pipeline.search.workers.cluster.ray_pool import open_ray_pool

        return open_ray_pool(settings)
    is_loop = isinstance(settings.trial, UserLoop)
    if in_processes := fork_server.needs_processes(settings):
        fork_server.start_fork_server(is_loop)  # it imports TensorFlow while this process does
    from pipeline.hardware import gpus
    from pipeline.hardware.device import claim_device, claim_plain_device, explain_unused_gpu
    from pipeline.search.workers.process_pool import make_worker_pool

    if is_loop and (warning := explain_unused_gpu(settings.device)):
        print(f"warning: {warning}", file=sys.stderr)
    claim = claim_plain_device if is_loop else claim_device
    device = claim(settings.device, pin=not in_processes)
    if device.kind == "gpu":
        gpus.check_workers(settings.search.workers, settings.device.count)
    return make_worker_pool(settings, device), device


def _check_network(plan: plans.SweepPlan, pool: "WorkerPool") -> None:
    """Check the words that all trials share where a trial would run, so that a network cannot end the sweep.

    Raises:
        BadInput: what `check_trial` raises; the process of the check ended.
    """
    from pipeline.search.workers.pool import WorkerLost

    settings = plan.command_line.settings
    try:
        pool.call(check_settings, settings, settings.search.under_shift)
    except WorkerLost as error:
        raise BadModel(
            f"the network must be one that can be built, got one that failed: {error}; "
            f"see more with: {format_command('run', map(mask, plan.fixed))}"
        ) from None


def _search_study(
    plan: plans.SweepPlan, address: str, device: "ClaimedDevice", subject: Subject, pool: "WorkerPool"
) -> None:
    """Open the study and its record, search, and show what was found."""
    from pipeline.search import study_store
    from pipeline.search.study_identity import bind_study
    from pipeline.search.sweep import Sweep
    from pipeline.search.trial_rows import VALIDATION
    from pipeline.tracking import mlflow_runs, mlflow_store, study_place
    from pipeline.tracking.pages.live_page import LivePage
    from pipeline.tracking.runs import orphans
    from pipeline.tracking.study_recorder import StudyKey, record_study

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
    split = subject.split
    if split is not None and store.read_attrs().get(VALIDATION) != split.to_dict():
        store.write_attr(VALIDATION, split.to_dict())
    spec = _make_spec(plan, f"{name}-{identity}", data_digests, subject.work)
    remove_abandoned_drafts(spec.checkpoints)
    study_place.write_place(client, store, experiment_id)
    study = StudyKey(name, identity, experiment_id)
    expected = expectation.find_expectation(address, plan, device.name, name)
    with (
        ending.show_where_stopped() as stopped,
        record_study(client, command_line, study, device.kind, store.exclusive) as recorder,
        _make_screen(name, command_line.settings, device.kind) as screen,
    ):
        if split is not None:
            recorder.record_validation_split(split)
        recorder.record_objectives(search.objectives)
        runs = f"{find_base_address()}/#/experiments/{experiment_id}/runs/"
        page = LivePage(client, recorder.run_id, runs)
        if page.path:
            store.write_attr(PAGE_FILE, str(page.path))
        screen.show_plan([*plan.describe_search(), *expected], f"{runs}{recorder.run_id}", page.link)
        observer = StudyObserver(recorder, screen, store, device.name, page)
        sweep = Sweep(spec, plan.epochs, store, pool, observer)
        stopped.follow(sweep, observer)
        with store.heartbeat():
            _search(sweep, observer)
    _show(sweep, observer)


def _make_spec(
    plan: plans.SweepPlan, folder: str, data_digests: Mapping[str, str], work: "Work | None"
) -> "SweepSpec":
    from pipeline.search.sweep_spec import SweepSpec

    return SweepSpec(
        command_line=plan.command_line,
        fixed=plan.fixed,
        space=plan.space,
        compose=compose,
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


def _check_quickly(plan: plans.SweepPlan) -> str:
    """Check sampler, storage and store, before TensorFlow is imported; return the address of the storage.

    Raises:
        BadInput: one of them cannot be used.
    """
    from pipeline.search import optuna_storage, samplers

    search = plan.command_line.settings.search
    parallel = plan.command_line.settings.parallel_trials
    task = samplers.SamplerTask(plan.space, search.seed, parallel, plan.epochs)
    samplers.make_sampler(search.sampler, task)
    address = search.storage or addresses.make_study_address()
    if search.storage is not None:
        optuna_storage.list_studies(address)
    addresses.check_store()
    return address


def _search(sweep: "Sweep", observer: StudyObserver) -> None:
    """Run search and confirmation; where it is stopped, show what it has come to."""
    from pipeline.search.confirmation import confirm

    try:
        sweep.run()
        if sweep.spec.search.confirm:
            confirm(sweep)
        observer.finish(sweep)
    except BaseException as error:
        if signals.read_requested() or isinstance(error, KeyboardInterrupt):
            with signals.hold_back():
                observer.show_results(sweep.results, complete=True)
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
            f"none of the {len(results.trials)} trials of study {results.study} came to a point{losses}, "
            f"the last one {last.state}: {reason}; repeat it with: {last.command}"
        )


def _show(sweep: "Sweep", observer: StudyObserver) -> None:
    if output.hand_over(sweep.results):
        return
    ending.show_end(sweep, observer.link)


def _get_checkpoint_folder(command_line: CommandLine, name: str) -> Path:
    return expand_home(command_line.settings.cache_dir).absolute().parent / "checkpoints" / name
