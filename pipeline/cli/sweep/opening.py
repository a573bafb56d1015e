"""What a sweep needs before its study is opened: an address, workers with a device, a network to be built."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from pipeline.cli.sweep import plan as plans
from pipeline.errors import BadModel, BadSetting
from pipeline.files import find_network_system
from pipeline.search.workers.job_kinds import check_settings
from pipeline.secrets import mask
from pipeline.settings import addresses
from pipeline.settings.command_line import format_command
from pipeline.settings.searching.cluster import ClusterKind
from pipeline.settings.settings import Settings
from pipeline.settings.training import UserLoop

if TYPE_CHECKING:
    from pipeline.hardware.device import ClaimedDevice
    from pipeline.search.workers.pool import WorkerPool


P = ParamSpec("P")


T = TypeVar("T")


def call_in_pool(pool: "WorkerPool", function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
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


def open_pool(settings: Settings) -> "tuple[WorkerPool, ClaimedDevice]":
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
    if warning := _explain_one_process(settings):
        print(f"warning: {warning}", file=sys.stderr)
    claim = claim_plain_device if is_loop else claim_device
    device = claim(settings.device, pin=not in_processes)
    device.check()
    if device.kind == "gpu":
        gpus.check_workers(settings.search.workers, settings.device.count)
    return make_worker_pool(settings, device), device


def _explain_one_process(settings: Settings) -> str:
    """Explain which settings of the search say nothing, as trials run in this process alone; else nothing."""
    from pipeline.search.workers.fork_server import is_of_script

    search = settings.search
    words = [f"search.workers={search.workers}"] if search.workers > 1 else []
    words += [] if search.trial_timeout is None else [f"search.trial_timeout={search.trial_timeout:g}"]
    if not words or not is_of_script(settings):
        return ""
    return (
        f"{' and '.join(words)} say nothing here: what a script or notebook has defined trains in its own "
        "process, one trial at a time; put it into a module and import it"
    )


def check_network(plan: plans.SweepPlan, pool: "WorkerPool") -> None:
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


def check_quickly(plan: plans.SweepPlan) -> str:
    """Check sampler, storage and store, before TensorFlow is imported; return the address of the storage.

    Raises:
        BadInput: one of them cannot be used.
    """
    from pipeline.search import optuna_storage, samplers

    search = plan.command_line.settings.search
    parallel = plan.command_line.settings.parallel_trials
    task = samplers.SamplerTask(space=plan.space, seed=search.seed, workers=parallel, epochs=plan.epochs)
    samplers.make_sampler(search.sampler, task)
    address = search.storage or addresses.make_study_address()
    optuna_storage.check_storage(address, search.study)
    addresses.check_store()
    if warning := explain_network_file(address):
        print(f"warning: {warning}", file=sys.stderr)
    return address


def explain_network_file(address: str) -> str:
    """Explain what a study in a file of a network file system bears; "" for any other."""
    path = addresses.read_sqlite_path(address)
    kind = find_network_system(path) if path else ""
    if not kind:
        return ""
    return (
        f"{path} is on a network file system ({kind}), where SQLite bears the commands of one machine at a "
        "time; for several set search.storage=postgresql://... (docs/cluster/postgresql.md)"
    )
