"""The plan of a sweep: its words are split, composed and checked before anything runs."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.cli import arguments
from pipeline.cli.compose import compose, find_mistake
from pipeline.cli.explain.advice import advise_in_sweep, check_advice
from pipeline.cli.explain.typed_words import check_known
from pipeline.cli.loops import words as loop_words
from pipeline.cli.sweep import from_diagnosis as sweep_from_diagnosis
from pipeline.cli.sweep import space as sweep_space
from pipeline.cli.sweep.baselines import add_baseline, check_baseline, leave_out_baselines
from pipeline.cli.sweep.dimensions import check_dimensions
from pipeline.errors import BadSetting
from pipeline.formatting import format_count
from pipeline.search.space import (
    SearchSpace,
    add_epochs,
    read_searched_values,
)
from pipeline.secrets import mask_all
from pipeline.settings.command_line import CommandLine, Overrides, key_of
from pipeline.settings.measuring import Shift
from pipeline.settings.search import Search
from pipeline.settings.settings import Settings
from pipeline.settings.tables import is_table
from pipeline.settings.tracking import Tracking
from pipeline.settings.training import UserLoop
from pipeline.trial import user_code, user_keys

ONE_DATA_SET = {f"data.{key}" for key in ("path", "test_path", "validation", "label", "text", "name")}
"""Keys that say which data a study is about: it has one."""


@dataclass(frozen=True, slots=True)
class SweepPlan:
    """What is searched.

    `command_line`: the settings that all trials share, with all words that were typed, so that it repeats
    the sweep; `fixed`: the words that all trials share; `epochs`: the name of the dimension that says how
    long to train, None where there is none; `left_out`: a line for each choice that what is fixed excludes.
    """

    command_line: CommandLine
    fixed: Overrides
    space: SearchSpace
    epochs: str | None
    left_out: tuple[str, ...] = ()

    def describe_study(self, device: str) -> dict[str, object]:
        """Return what all trials of the study share."""
        search = self.command_line.settings.search
        return {
            "space": list(self.space.format_lines()),
            "settings": mask_all(sorted(self.fixed)),
            "device": device,
            "objective": self.command_line.settings.measure.name,
            **search.describe_objectives(),
        }

    def describe_search(self) -> tuple[str, ...]:
        """Return what will happen, a line each: what is searched, when it ends, what comes after."""
        settings = self.command_line.settings
        search, price = settings.search, settings.price
        seconds = search.budget_device_seconds
        total = [format_count(search.most_trials, "trial")] if search.is_capped else []
        if seconds is not None:
            total.append(f"{format_count(seconds, 'device-second')}{price.format(seconds, digits=3)}")
        total += [f"{search.timeout:g} s by the wall clock"] if search.timeout else []
        total += [f"no better frontier for {search.patience}"] if search.patience else []
        seeds = format_count(search.confirm, "new seed")
        after = f"train each point of the frontier with {seeds}" if search.confirm else "nothing is confirmed"
        return (
            f"search: {'  '.join(self.space.format_lines())}",
            f"until: {' or '.join(total)}, whichever is first" if len(total) > 1 else f"until: {total[0]}",
            f"then: {after}",
        )

    def fingerprint_data(self, source: str) -> dict[str, str]:
        """Return the SHA-256 (hex) of each data set that trials read, by the words that name it.

        `source`: that of the search itself, which is known; a baseline may name another set.

        Raises:
            BadData: a file of such a set is missing, damaged or has the wrong hash.
        """
        digests = {self.fixed.name_data(): source}
        for line in self.command_line.settings.search.enqueue:
            words = self.fixed.with_(*line.split())
            name = words.name_data()
            if name not in digests:
                digests[name] = _fingerprint(compose(words).settings)
        return digests

    def default_name(self, device: str) -> str:
        """Return a name that the same command on the same device has again, so that it resumes its study."""
        description = repr(sorted(self.describe_study(device).items()))
        return f"{self.command_line.subject}-{hashlib.sha256(description.encode()).hexdigest()[:8]}"


def _fingerprint(settings: Settings) -> str:
    """Return the SHA-256 (hex) of the data of a trial, or of the code of a user's own loop."""
    if isinstance(settings.trial, UserLoop):
        return user_code.hash_code(settings.trial)
    from pipeline.data.preprocess import fingerprint_source

    return fingerprint_source(settings)


@check_advice(find_mistake)
@advise_in_sweep()
def make_plan(words: Sequence[str]) -> SweepPlan:
    """Return what the words of a sweep ask for; only they, and a diagnosis that they name, are read.

    Raises:
        BadInput: a word is wrong.
    """
    pairs = loop_words.rename(arguments.normalise_words(words))
    fixed, varied = sweep_space.split_words(pairs)
    _check_varied(fixed, varied, has_own_keys=loop_words.find_kind(pairs) is not None)
    command_line, first = compose(fixed, Overrides(varied).keys), None
    _check_names(command_line.settings.tracking)
    if command_line.settings.search.from_diagnosis:
        fixed, first = _split_diagnosis(command_line.settings.search, fixed, varied)
        command_line = add_baseline(compose(fixed), first)
    trial_words = Overrides(fixed).trial_part()
    loop = command_line.settings.trial
    if isinstance(loop, UserLoop):
        command_line = loop_words.leave_out_networks(command_line)
    elif trial_words.find("data") is None:
        trial_words = Overrides(
            (f"data={command_line.choices['data']}", *trial_words)
        )  # a baseline may name another set
    if command_line.settings.train.start_from is not None:
        raise BadSetting("sweep needs train.from=null: its trials begin afresh, got a run; leave it out")
    search = command_line.settings.search
    if search.under_shift and command_line.settings.evaluate.shift is Shift.none:
        raise BadSetting(
            "search.objective=accuracy_under_shift needs evaluate.shift=noise (or blur, rotate, ...), "
            "got none; set one"
        )
    conditions: Mapping[str, Sequence[str]] = search.when if search.space else {}  # else what is typed alone
    searched: Sequence[str] = search.space
    if is_table(command_line.settings.data) and command_line.choices.get("model") == "mlp":
        searched, conditions = sweep_space.add_linear(searched, conditions, Overrides((*fixed, *varied)).keys)
    space = sweep_space.build_space(searched, conditions, fixed, varied)
    if first is not None:
        space = sweep_from_diagnosis.narrow(
            space, read_searched_values(compose([*trial_words, *first]), space.keys)
        )
    space, left_out = check_dimensions(space, trial_words)
    space_with_epochs, epochs = space, None
    if not isinstance(loop, UserLoop) or user_keys.describe(loop).resumes:
        space_with_epochs, epochs = add_epochs(
            space,
            command_line,
            lambda schedule: compose([*trial_words, f"schedule={schedule}"]).settings.fair_midway,
        )
    command_line, unfit = leave_out_baselines(command_line, trial_words)
    for line in command_line.settings.search.enqueue:
        check_baseline(line, trial_words)
    typed = replace(command_line, overrides=Overrides(pairs).drop_superseded())
    return SweepPlan(typed, trial_words, space_with_epochs, epochs, (*left_out, *unfit))


def _check_varied(fixed: Sequence[str], varied: Sequence[str], has_own_keys: bool) -> None:
    """Refuse several values of what is no setting, unless keys are a user's own, and of what is one data set.

    A study has one set of data, and a path may have a comma.
    """
    for word in varied:
        if not has_own_keys:
            check_known(word, (*fixed, *varied))
        if key_of(word) in ONE_DATA_SET:
            raise BadSetting(
                f"{key_of(word)} must be one value, got several in {word!r}; quote a value with a comma"
            )


def _check_names(tracking: Tracking) -> None:
    """Refuse names of one run and of one model, which a sweep, with many of both, would give to none."""
    for key, name in (("run_name", tracking.run_name), ("register", tracking.register)):
        if name is not None:
            raise BadSetting(
                f"tracking.{key} must be null with sweep, whose runs and models are named by its study, "
                f"got {name}; set search.study={name}"
            )


def _split_diagnosis(
    search: Search, fixed: Sequence[str], varied: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Return what is fixed in a search around a diagnosis, and the words that its first trial adds."""
    lines = [*varied, *search.space, *(line for lines in search.when.values() for line in lines)]
    searched = set(Overrides(lines).keys) - set(Overrides(fixed).keys)
    unsearched, first = sweep_from_diagnosis.split_words(
        sweep_from_diagnosis.find_last_words(search.from_diagnosis or ""), fixed, searched
    )
    return [*unsearched, *fixed], first
