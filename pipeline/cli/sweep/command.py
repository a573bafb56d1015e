"""`sweep`: search, confirm, record, and show the frontier."""

import math
import sys
import threading
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING

from rich.markup import escape

from pipeline.cli import arguments
from pipeline.cli.compose import compose_ours
from pipeline.cli.console import Console
from pipeline.cli.explain.advice import advise_in_sweep
from pipeline.cli.loops.words import find_kind
from pipeline.cli.stages.recording import tell_quality, tell_unneeded
from pipeline.cli.sweep import expectation
from pipeline.cli.sweep import plan as plans
from pipeline.cli.sweep.dimensions import fit_batches
from pipeline.cli.sweep.opening import call_in_pool, check_network, check_quickly, open_pool
from pipeline.cli.sweep.space import split_words
from pipeline.cli.sweep.study import Subject, search_study
from pipeline.search.workers.fork_server import can_fork, start_fork_server
from pipeline.search.workers.job_kinds import check_settings
from pipeline.settings.command_line import group_of
from pipeline.settings.rows_defaults import choose_words
from pipeline.settings.searching.objectives import ENERGY
from pipeline.settings.settings import Settings
from pipeline.settings.training import UserLoop
from pipeline.trial import user_keys

if TYPE_CHECKING:
    from pipeline.data.prepared import Prepared
    from pipeline.hardware.device import ClaimedDevice
    from pipeline.search.workers.pool import WorkerPool


FOR_LOOPS = ("pipeline.search.sweep", "pipeline.search.confirmation", "pipeline.tracking.study_recorder")
"""Modules that take long to import, MLflow's and Optuna's with them."""
DRY_RUN = "--dry-run"
"""Check the words and say what would happen; train and record nothing."""
IN_NO_PROCESS = ("search.workers=0", "cluster=", "trial.call=__main__:")
"""How words begin that want no processes of this machine."""


@advise_in_sweep()
def run(words: Sequence[str]) -> None:
    """Run the search that the words describe.

    Raises:
        NothingFound: no trial came to a point.
        BadInput: the words, the storage or the data are at fault; nothing was begun.
        SearchStopped: a trial showed an error of the program.
    """
    is_dry, words = DRY_RUN in words, [word for word in words if word != DRY_RUN]
    if find_kind(arguments.normalise_words(words)):
        _run_loop(words, is_dry)
        return
    plan = plans.make_plan(words)
    address, settings = check_quickly(plan), plan.command_line.settings
    if is_dry:
        _tell(plan.left_out)
        _print_plan(plan, address)
        return
    pool, device = open_pool(settings)
    with closing(pool):
        from pipeline.search.energy_objective import check_energy
        from pipeline.trial.network import forget_prepared, load_prepared

        pool.call(check_energy, settings, device)
        words, plan, remarks = _settle_energy(words, plan, device, pool)
        settings = plan.command_line.settings
        forget_prepared()
        prepared = load_prepared(settings, settings.search.under_shift)
        rows, typed = len(prepared.train), plan.command_line.overrides.keys
        batches = fit_batches(plan.space, typed, rows)
        remarks += [f"{word} is searched: the training split has {rows} rows" for word in batches]
        if chosen := [*choose_words(plan.command_line, rows, plan.space.keys), *batches]:
            plan = plans.make_plan([*chosen, *words])
        check_network(plan, pool)
        _tell([*plan.left_out, *remarks])  # nothing is refused from here on, which would be a line alone
        keys = [key for key in plan.command_line.overrides.keys if group_of(key) not in plan.space.keys]
        tell_unneeded("sweep", keys, settings, prepared)
        quality = tell_quality(load_prepared(settings))
        subject = replace(_describe_data(settings, prepared), quality=quality)
        search_study(plan, address, device, subject, pool)


def _settle_energy(
    words: Sequence[str], plan: plans.SweepPlan, device: "ClaimedDevice", pool: "WorkerPool"
) -> tuple[Sequence[str], plans.SweepPlan, list[str]]:
    """Name the energy that the device of the trials can give; a study has either of the two kinds.

    Returns the words and their plan, and what is to be told of it.
    """
    from pipeline.search.energy_objective import settle_energy

    settings = plan.command_line.settings
    names = settings.search.objectives
    settled = call_in_pool(pool, settle_energy, settings, device) if ENERGY in names else names
    if settled == names:
        return words, plan, []
    words = [*words, f"search.objectives=[{','.join(settled)}]"]
    found = next(name for name in settled if name not in names)
    return words, plans.make_plan(words), [f"search.objectives: {ENERGY} is {found} on {device.name}"]


def _tell(remarks: Sequence[str]) -> None:
    """Tell what was left out or chosen; by then nothing is refused any more."""
    for line in remarks:
        print(line, file=sys.stderr)


def _print_plan(plan: plans.SweepPlan, address: str) -> None:
    expected = expectation.find_expectation(address, plan, study=plan.command_line.settings.search.study)
    console = Console()
    for line in (*plan.describe_search(), *expected):
        console.print(escape(line), soft_wrap=not console.is_terminal)


def _describe_data(settings: Settings, prepared: "Prepared") -> Subject:
    from pipeline.search import epoch_work
    from pipeline.search.estimation.validation_split import ValidationSplit

    work = epoch_work.make_epoch_work(
        settings, len(prepared.train), math.prod(prepared.shape), prepared.outputs
    )
    return Subject(
        prepared.source_sha256, ValidationSplit.count(prepared.validation.labels, settings.measure), work
    )


def _run_loop(words: Sequence[str], is_dry: bool) -> None:
    """Search over a training loop of the user's own.

    A worker imports the user's module and tells what its keys are while this process imports what it needs
    itself; the same worker trains afterwards.

    Raises:
        BadInput: the function, its keys, the words or the storage are at fault; nothing was begun.
    """
    fixed, _ = split_words(arguments.normalise_words(words))
    if can_fork() and not any(word.startswith(IN_NO_PROCESS) for word in fixed):
        start_fork_server(for_loops=True)  # which imports while the words are composed
    settings = compose_ours(fixed).settings
    pool, device = open_pool(settings)
    with closing(pool):
        loop = settings.trial
        assert isinstance(loop, UserLoop)
        importing = threading.Thread(target=_import_for_loops)
        importing.start()
        user_keys.remember(loop, call_in_pool(pool, user_keys.describe, loop))
        importing.join()
        plan = plans.make_plan(words)
        address = check_quickly(plan)
        call_in_pool(pool, check_settings, plan.command_line.settings, under_shift=False)
        if is_dry:
            _tell(plan.left_out)
            _print_plan(plan, address)
            return
        _, plan, remarks = _settle_energy(words, plan, device, pool)
        _tell([*plan.left_out, *remarks])
        search_study(plan, address, device, Subject(user_keys.describe(loop).code), pool)


def _import_for_loops() -> None:
    """Import what a sweep needs, while a worker imports what the user's function needs.

    What cannot be imported is told where it is needed: by then this process may be about to end, in which
    some libraries refuse to be imported.
    """
    with suppress(Exception):
        for name in FOR_LOOPS:
            import_module(name)
