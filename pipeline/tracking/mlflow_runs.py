"""Runs in MLflow: how one is opened, tagged, written into within MLflow's limits, searched for and ended.

Whatever is written is masked (no password reaches a run) and cut to what MLflow takes.
"""

import math
import os
import re
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from getpass import getuser
from itertools import chain, count
from pathlib import Path
from subprocess import DEVNULL, PIPE, run
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

import mlflow
import psutil
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException

from pipeline.errors import BadSetting
from pipeline.files import write_whole
from pipeline.formatting import shorten
from pipeline.processes import LEASE_SECONDS, ProcessOwner, is_free
from pipeline.secrets import mask
from pipeline.settings.addresses import CHECKOUT
from pipeline.settings.command_line import CommandLine, group_of
from pipeline.settings.data import SoundData, TextData
from pipeline.settings.measuring import Price
from pipeline.settings.searching.objectives import ESTIMATED_ENERGY, MEASURED_ENERGY, OBJECTIVES
from pipeline.settings.settings import flatten
from pipeline.settings.tracking import PARENT_TAG
from pipeline.settings.training import UserLoop
from pipeline.tracking.mlflow_store import is_local

PARAM_LIMIT, TAG_LIMIT, BATCH_LIMIT = 6000, 8000, 1000
PAGE_SIZE = 1000
MAX_CLASS_LETTERS, MAX_NAME = 120, 120

NOTE = "mlflow.note.content"
RUN_NAME, PARENT, ENTRY_POINT = "mlflow.runName", PARENT_TAG, "mlflow.project.entryPoint"
SOURCE_NAME = "mlflow.source.name"
SOURCE = {"mlflow.source.type": "LOCAL", SOURCE_NAME: "python -m pipeline"}
DISCARDED = "discarded"
OWNER_TAGS = {
    "host": "host",
    "pid": "pid",
    "pid_started": "started",
    "boot_id": "boot_id",
    "pid_namespace": "pid_namespace",
    "pid_started_after_boot": "started_after_boot",
}
"""Tags that say which process holds a run, and the fields of `ProcessOwner`; 0.1.0 knew the first three."""
REQUIRED_OWNER_TAGS = ("host", "pid", "pid_started")
HEARTBEAT = "heartbeat"
"""Tag: when the process that holds the run last said so, in seconds since 1970. See `run_lease`."""
CLOCK_SECONDS = 600.0
"""Clocks of two machines may differ by so much; MLflow has no clock that a client can read."""


# ---- opening and ending -------------------------------------------------------------------------------


def create_run(
    client: MlflowClient, experiment_id: str, name: str, tags: Mapping[str, str], parent: str | None = None
) -> str:
    """Create a run that this process owns and return its id. `parent`: the id of the run to nest it in."""
    all_tags = {"mlflow.user": read_user_name(), **SOURCE, **make_owner_tags()}
    if parent is not None:
        all_tags[PARENT] = parent
    texts = {key: _cut(value, TAG_LIMIT) for key, value in {**all_tags, **tags}.items()}
    return str(client.create_run(experiment_id, run_name=name, tags=texts).info.run_id)


def make_user_tags(command_line: CommandLine, nested: bool = False) -> dict[str, str]:
    """Return the tags that the user wants on each run; of a `nested` one without the parent of the outer one.

    Inside `with mlflow.start_run():` of a program, that run is the parent unless the tags name another.
    """
    active = mlflow.active_run()
    outer = {PARENT: active.info.run_id} if active is not None else {}
    tags = {**outer, **command_line.settings.tracking.tags}
    return {key: value for key, value in tags.items() if key != PARENT or not nested}


def check_user_tags(client: MlflowClient, command_line: CommandLine) -> None:
    """Check what only the store knows of the user's tags, before a run is opened.

    Raises:
        BadSetting: the parent is no run, or was deleted.
    """
    parent = command_line.settings.tracking.tags.get(PARENT)
    if parent is not None and is_deleted(client, parent):
        raise BadSetting(
            f"tracking.tags must name a run that exists as {PARENT}, got {parent}; take its id from the UI"
        )


def read_user_name() -> str:
    """Return the name of the user, or the number of one without a name, as in many containers."""
    try:
        return getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def make_owner_tags() -> dict[str, str]:
    """Return the tags that say that this process holds a run, now."""
    fields = ProcessOwner.current().to_dict()
    tags = {tag: str(fields[field]) for tag, field in OWNER_TAGS.items() if field in fields}
    return {**tags, HEARTBEAT: f"{time.time():.0f}"}


def read_owner(run: Run) -> ProcessOwner | None:
    """Return the process that holds a run; None for runs that this product did not make."""
    tags = run.data.tags
    if not all(tag in tags for tag in REQUIRED_OWNER_TAGS):
        return None
    return ProcessOwner.from_dict({field: tags.get(tag) for tag, field in OWNER_TAGS.items()})


def end_orphans(client: MlflowClient) -> list[str]:
    """End the runs of this product that nobody holds any more, and return their ids.

    Those whose process has certainly ended, at once; others once their lease is over (`processes.is_free`).
    Runs that were discarded, and that `mlflow run` has ended since, are deleted.
    """
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    running = search_runs(client, experiments, "attributes.status = 'RUNNING'")
    orphans = [run.info.run_id for run in running if _is_orphan(run, is_local(client.tracking_uri))]
    for run_id in orphans:
        client.set_terminated(run_id, status="KILLED")
    condition = f"attributes.status != 'RUNNING' AND tags.{DISCARDED} = 'true'"
    for discarded in list(search_runs(client, experiments, condition)):
        with unless_deleted(client, discarded.info.run_id):  # another process was faster
            client.delete_run(discarded.info.run_id)
    return orphans


def discard_run(client: MlflowClient, run_id: str) -> None:
    """Let the next command delete a run that `mlflow run` opened, and will end itself after this process."""
    client.set_tag(run_id, DISCARDED, "true")


def _is_orphan(run: Run, local_store: bool) -> bool:
    if "pid" in run.data.tags:
        owner = read_owner(run)
        return owner is not None and is_free(owner, _is_lease_over(run))
    # Opened by `mlflow run` and never adopted, for instance because conda is missing. Such a run carries
    # no owner, so it is ended only where it is of this checkout, nobody else writes, and no `mlflow run` is
    # at work.
    return local_store and _is_of_this_project(run) and not _is_mlflow_run_alive()


def _is_lease_over(run: Run) -> bool:
    """Return whether nobody has renewed the lease; never of a run without one, as of version 0.1.0."""
    try:
        renewed = float(run.data.tags[HEARTBEAT])
    except (KeyError, ValueError):
        return False
    return time.time() - renewed > LEASE_SECONDS + CLOCK_SECONDS


def _is_of_this_project(run: Run) -> bool:
    """Return whether `mlflow run` opened the run for this checkout, named by its path or its git address."""
    source, _, folder = run.data.tags.get(SOURCE_NAME, "").partition("#")
    if ENTRY_POINT not in run.data.tags or not source:
        return False
    if urlsplit(source).scheme in {"", "file"}:
        return Path(urlsplit(source).path, folder).resolve() == CHECKOUT
    return mask(source) in {
        mask(address) for address in read_git("remote", "get-url", "--all", "origin").split()
    }


def _is_mlflow_run_alive() -> bool:
    lines = (process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"]))
    return any("run" in line and any(Path(word).name == "mlflow" for word in line[:3]) for line in lines)


@contextmanager
def unless_deleted(client: MlflowClient, run_id: str) -> Iterator[None]:
    """Leave out what a run that was deleted would get; any other failure is raised."""
    try:
        yield
    except MlflowException:
        if not is_deleted(client, run_id):
            raise


def is_deleted(client: MlflowClient, run_id: str) -> bool:
    """Return whether somebody has deleted the run, which then takes no more."""
    try:
        return bool(client.get_run(run_id).info.lifecycle_stage == "deleted")
    except MlflowException as error:
        return bool(error.error_code == "RESOURCE_DOES_NOT_EXIST")


# ---- writing ------------------------------------------------------------------------------------------


def set_tags(client: MlflowClient, run_id: str, tags: Mapping[str, str]) -> None:
    """Set the tags of a run, masked and cut to MLflow's limit."""
    client.log_batch(run_id, tags=[RunTag(key, _cut(value, TAG_LIMIT)) for key, value in tags.items()])


def log_params(
    client: MlflowClient, run_id: str, params: Mapping[str, object], existing: Collection[str] = ()
) -> None:
    """Log params, masked and cut. `known`: those that the run has, which MLflow lets nobody change."""
    texts = {key: _cut(str(value), PARAM_LIMIT) for key, value in params.items() if key not in existing}
    client.log_batch(run_id, params=[Param(key, text) for key, text in texts.items()])


def make_metrics(values: Mapping[str, float | None], step: int = 0) -> list[Metric]:
    """Return the values as metrics of one step and of now; what nobody knows is left out: None and NaN."""
    now = int(time.time() * 1000)
    return [
        Metric(key, float(value), now, step)
        for key, value in values.items()
        if value is not None and not math.isnan(value)
    ]


def log_metrics(client: MlflowClient, run_id: str, metrics: Sequence[Metric]) -> None:
    """Log metrics in as few calls as MLflow's limit allows."""
    for start in range(0, len(metrics), BATCH_LIMIT):
        client.log_batch(run_id, metrics=metrics[start : start + BATCH_LIMIT])


def locate_artifacts(run: Run) -> Path | None:
    """Return the folder of a run's artifacts; None where they lie on a server."""
    address = run.info.artifact_uri or ""
    parts = urlsplit(address)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return None if parts.scheme or not address else Path(address)


def find_artifact_folder(client: MlflowClient, run_id: str) -> Path | None:
    """Return the folder of the artifacts of a run by its id; see `locate_artifacts`."""
    return locate_artifacts(client.get_run(run_id))


def log_files(client: MlflowClient, run_id: str, files: Mapping[str, bytes]) -> None:
    """Log artifacts by their path in the run; in a folder of this machine a reader finds each whole."""
    if place := find_artifact_folder(client, run_id):
        for name, content in files.items():
            write_whole(place / name, partial(_write, content))
        return
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        client.log_artifacts(run_id, folder)


def _write(content: bytes, file: BinaryIO) -> None:
    file.write(content)


def _cut(text: str, limit: int) -> str:
    """Return the text masked, as UTF-8 can hold it, and cut."""
    return mask(text.encode(errors="backslashreplace").decode())[:limit]


# ---- what runs say of a command line --------------------------------------------------------------------


OF_ANY_RUN = (
    *("data", "preprocess", "augment", "model", "loss", "optimizer", "schedule", "precision", "train"),
    *("device", "engine"),
)
"""Groups whose values say something of any run of a network."""
TOLD_ELSEWHERE = {
    "data.in_memory_limit",
    "data.on_error",
    "device.kind",
    "device.pin",
    "precision.policy",
    "preprocess.storage",
    "privacy.kind",
}
"""Keys that change no result, or whose value another key or tag has; typed ones are recorded all the same."""
OF_SOUND, OF_TEXT = "spectrogram", "vocabulary"


def make_params(command_line: CommandLine) -> dict[str, object]:
    """Return the params of a run: the options of groups and the settings that can matter for it.

    Those of other kinds of data are left out, of other commands, and what is null, auto or switched off
    (an MLflow page of 130 params shows nobody anything); what was typed is there in any case. The tag
    `overrides` and the command repeat the run, not the params.
    """
    settings = command_line.settings
    if isinstance(settings.trial, UserLoop):
        return make_loop_params(command_line, settings.trial)
    kinds = {OF_SOUND: SoundData, OF_TEXT: TextData}
    groups = [*OF_ANY_RUN, *(group for group, kind in kinds.items() if isinstance(settings.data, kind))]
    if settings.privacy.is_private:
        groups.append("privacy")
    return _select_params(command_line, groups)


def _select_params(command_line: CommandLine, groups: Collection[str]) -> dict[str, object]:
    """Select of all settings those of the groups that say something, and those that were typed."""
    typed = {*command_line.overrides.keys}
    flat = {**command_line.choices, **dict(flatten(command_line.settings))}
    return {
        key: value
        for key, value in flat.items()
        if key in typed or (group_of(key) in groups and _says_something(key, value))
    }


def _says_something(key: str, value: object) -> bool:
    is_off = not value and group_of(key) in ("augment", "data", "loss")
    is_usual = value in (None, "auto", "standard") or (key, value) == ("device.count", 1)
    return not is_off and not is_usual and key not in TOLD_ELSEWHERE


def make_loop_params(command_line: CommandLine, trial: UserLoop) -> dict[str, object]:
    """Return the params of a loop of the user's own: its keys, and what of ours says something about it."""
    key, _, code = trial.word.partition("=")
    train = command_line.settings.train
    flat = {"trial": command_line.choices["trial"], key: code, "trial.fair_midway": trial.fair_midway}
    return {**flat, "train.epochs": train.epochs, "train.seed": train.seed, **trial.values}


def make_study_params(command_line: CommandLine) -> dict[str, object]:
    """Return the params of a study: how it searches, and what was typed; what is varied is no param of it."""
    trial = command_line.settings.trial
    of_loop = make_loop_params(command_line, trial) if isinstance(trial, UserLoop) else {}
    named = {key: command_line.choices[key] for key in ("data", "search") if not of_loop}
    selected = _select_params(command_line, ("search", "pruning"))
    return {**of_loop, **named, **selected, **command_line.overrides.to_dict()}


def make_run_name(command_line: CommandLine, stage: str) -> str:
    """Return a name such as `digits mlp 256 adam float32`; the stage is in front where it is one alone."""
    settings, choices = command_line.settings, command_line.choices
    if isinstance(settings.trial, UserLoop):
        values = " ".join(f"{key}={value}" for key, value in settings.trial.values.items())
        return shorten(f"{settings.trial.name} {values}".strip(), MAX_NAME)
    words = [
        stage if stage != "run" else "",
        choices["data"],
        choices["model"],
        str(getattr(settings.model, "hidden", "")),
        choices["optimizer"],
        settings.precision.policy.value,
    ]
    return " ".join(word for word in words if word)


def read_git(*words: str) -> str:
    """Return what git says of the checkout; nothing where there is no git, or no checkout."""
    if CHECKOUT is None:
        return ""
    try:
        done = run(["git", *words], cwd=CHECKOUT, stdout=PIPE, stderr=DEVNULL, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip()


# ---- searching ------------------------------------------------------------------------------------------


def search_runs(client: MlflowClient, experiment_ids: Sequence[str], condition: str) -> Iterator[Run]:
    """Yield the runs of the experiments that meet a condition in MLflow's filter language, page by page."""
    token: str | None = None
    while experiment_ids:
        page = client.search_runs([*experiment_ids], condition, max_results=PAGE_SIZE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def quote(text: str) -> str:
    """Return the text as a string of MLflow's filter language, which has no way to escape a quote."""
    return f'"{text}"' if "'" in text else f"'{text}'"


def name_energy(joules: float | None, estimated: bool, price: Price) -> dict[str, float | None]:
    """Return energy and its carbon dioxide by metric: an estimate has names of its own, everywhere."""
    if estimated:
        names = OBJECTIVES[ESTIMATED_ENERGY].metric, "train/estimated_carbon_grams"
    else:
        names = OBJECTIVES[MEASURED_ENERGY].metric, "train/carbon_grams"
    return dict(zip(names, (joules, price.weigh_carbon(joules)), strict=True))


def make_metric_names(classes: Sequence[str]) -> list[str]:
    """Return a part of a metric's name for each class: different, also for a database without capitals.

    MLflow allows letters, digits, `_-. :` and 250 letters in all, and no part that is a path of its own.
    """
    names, used = list[str](), set[str]()
    for text in classes:
        name = re.sub(r"[^\w\-. :]", "_", text)[:MAX_CLASS_LETTERS].strip()
        base = re.sub(r"^\.+$", lambda dots: "_" * len(dots[0]), name) or "_"
        choices = chain([base], (f"{base}_{number}" for number in count(2)))
        names.append(next(choice for choice in choices if choice.casefold() not in used))
        used.add(names[-1].casefold())
    return names
