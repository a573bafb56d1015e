"""What a run says of its command line: its params and its name."""

from collections.abc import Collection

from pipeline.formatting import shorten
from pipeline.secrets import mask_all
from pipeline.settings.command_line import CommandLine, group_of
from pipeline.settings.data import Datasets, SoundData, TextData
from pipeline.settings.settings import flatten
from pipeline.settings.tables import Csv
from pipeline.settings.training import UserLoop

MAX_NAME = 120


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


USUAL = (("device.count", 1), ("train.keep", "last"))
OF_SOUND, OF_TEXT = "spectrogram", "vocabulary"
PIECES = "preprocess.pieces"  # of tables


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
    wanted = {*groups, *map(group_of, typed)}
    flat = {**command_line.choices, **dict(flatten(command_line.settings, among=wanted))}
    if not isinstance(command_line.settings.data, Csv | Datasets) and PIECES not in typed:
        flat.pop(PIECES, None)
    return {
        key: value
        for key, value in flat.items()
        if key in typed or (group_of(key) in groups and _says_something(key, value))
    }


def _says_something(key: str, value: object) -> bool:
    is_off = not value and group_of(key) in ("augment", "data", "loss")
    is_usual = value in (None, "auto", "standard") or (key, value) in USUAL
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
        values = " ".join(mask_all(f"{key}={value}" for key, value in settings.trial.values.items()))
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
