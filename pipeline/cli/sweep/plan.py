"""The plan of a sweep: its words are split, composed and checked before anything runs."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.cli import arguments
from pipeline.cli.compose import compose
from pipeline.cli.loops import words as loop_words
from pipeline.cli.sweep import from_diagnosis as sweep_from_diagnosis
from pipeline.cli.sweep import space as sweep_space
from pipeline.errors import BadSetting
from pipeline.search.space import (
    Condition,
    Dimension,
    SearchSpace,
    Value,
    add_epochs,
    format_value,
    read_searched_values,
    strip_condition,
)
from pipeline.settings.command_line import CommandLine, Overrides, group_of, key_of
from pipeline.settings.measuring import Shift
from pipeline.settings.search import Search
from pipeline.settings.settings import Settings
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
            "settings": sorted(self.fixed),
            "device": device,
            "objective": self.command_line.settings.measure.name,
            **search.describe_objectives(),
        }

    def describe_search(self) -> tuple[str, ...]:
        """Return what will happen, a line each: what is searched, when it ends, what comes after."""
        settings = self.command_line.settings
        search, price = settings.search, settings.price
        seconds = search.budget_device_seconds
        total = [f"{search.most_trials} trials"] if search.is_capped else []
        if seconds is not None:
            total.append(f"{seconds:g} device-seconds{price.format(seconds, digits=3)}")
        total += [f"{search.timeout:g} s by the wall clock"] if search.timeout else []
        seeds = f"{search.confirm} new seed{'s' if search.confirm > 1 else ''}"
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


def make_plan(words: Sequence[str]) -> SweepPlan:
    """Return what the words of a sweep ask for; only they, and a diagnosis that they name, are read.

    Raises:
        BadInput: a word is wrong.
    """
    pairs = loop_words.rename(arguments.normalise_words(words))
    fixed, varied = sweep_space.split_words(pairs)
    _check_data_words(varied)
    command_line, first = compose(fixed, Overrides(varied).keys), None
    if command_line.settings.search.from_diagnosis:
        fixed, first = _split_diagnosis(command_line.settings.search, fixed, varied)
        command_line = _add_baseline(compose(fixed), first)
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
    conditions = search.when if search.space else {}  # search.space=[]: nothing but what is typed
    space = sweep_space.build_space(search.space, conditions, fixed, varied)
    if first is not None:
        space = sweep_from_diagnosis.narrow(
            space, read_searched_values(compose([*trial_words, *first]), space.keys)
        )
    space, left_out = _check_dimensions(space, trial_words)
    space_with_epochs, epochs = space, None
    if not isinstance(loop, UserLoop) or user_keys.describe(loop).resumes:
        space_with_epochs, epochs = add_epochs(
            space,
            command_line,
            lambda schedule: compose([*trial_words, f"schedule={schedule}"]).settings.fair_midway,
        )
    command_line, unfit = _leave_out_baselines(command_line, trial_words)
    for line in command_line.settings.search.enqueue:
        _check_baseline(line, trial_words)
    typed = replace(command_line, overrides=Overrides(pairs).drop_superseded())
    return SweepPlan(typed, trial_words, space_with_epochs, epochs, (*left_out, *unfit))


def _check_data_words(varied: Sequence[str]) -> None:
    """Refuse several values of what says which data it is: a study has one, and a path may have a comma."""
    for word in varied:
        if key_of(word) in ONE_DATA_SET:
            raise BadSetting(
                f"{key_of(word)} must be one value, got several in {word!r}; quote a value with a comma"
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


def _add_baseline(command_line: CommandLine, words: Sequence[str]) -> CommandLine:
    """Return `command_line` with one more trial in front of those to be tried first."""
    search = command_line.settings.search
    search = replace(search, enqueue=[" ".join(words), *search.enqueue])
    return replace(command_line, settings=replace(command_line.settings, search=search))


def _leave_out_baselines(
    command_line: CommandLine, fixed: Sequence[str]
) -> tuple[CommandLine, tuple[str, ...]]:
    """Leave out baselines that nobody typed where they are of classes and a quantity is learned.

    Returns a line about each, too.
    """
    search = command_line.settings.search
    if not command_line.settings.data.is_regression or command_line.overrides.find("search.enqueue"):
        return command_line, ()
    unfit = {
        line: error
        for line in search.enqueue
        if (error := _find_mistake([*fixed, *line.split()])) is not None
    }
    kept = replace(search, enqueue=[line for line in search.enqueue if line not in unfit])
    lines = tuple(
        f"search.enqueue={line} is left out of the search: {error}" for line, error in unfit.items()
    )
    return replace(command_line, settings=replace(command_line.settings, search=kept)), lines


def _check_baseline(line: str, fixed: Sequence[str]) -> None:
    """Raise where a command line that is to be tried first does not fit what is fixed.

    Raises:
        BadSetting: the reason, and that search.enqueue named it.
    """
    try:
        compose([*fixed, *line.split()])
    except BadSetting as error:
        raise BadSetting(
            f"{error} (search.enqueue={line} is tried first; search.enqueue=[] stops that)"
        ) from None


def _check_dimensions(space: SearchSpace, fixed: Sequence[str]) -> tuple[SearchSpace, tuple[str, ...]]:
    """Check the keys and values of the dimensions before anything runs, by composing their ends.

    Returns the space without the choices that what is fixed excludes, and a line about each.

    Raises:
        BadSetting: the first that is wrong by itself; or nothing of a dimension fits what is fixed.
    """
    parents: dict[str, tuple[str, ...]] = {}
    kept: list[Dimension] = []
    left_out: list[str] = []
    for dimension in space.dimensions:
        if dimension.when and not _has_choice(kept, dimension.when):
            continue  # the choice that it is a condition of is left out
        parents[dimension.name] = _list_condition_words(dimension, parents)
        excluded = _find_excluded(dimension, parents[dimension.name], fixed)
        for value, error in excluded.items():
            left_out.append(f"{dimension.key}={format_value(value)} is left out of the search: {error}")
        choices = tuple(choice for choice in dimension.choices if choice not in excluded)
        kept.append(replace(dimension, choices=choices) if excluded else dimension)
    return SearchSpace(tuple(kept)), tuple(left_out)


def _has_choice(dimensions: Sequence[Dimension], condition: Condition) -> bool:
    """Return whether a condition can hold."""
    return any(each.name == condition.key and each.contains(condition.value) for each in dimensions)


def _find_excluded(
    dimension: Dimension, condition: Sequence[str], fixed: Sequence[str]
) -> dict[Value, BadSetting]:
    """Find the choices of a dimension that what is fixed excludes, such as one of another optimizer.

    Raises:
        BadSetting: a value is wrong by itself, or none is left.
    """
    probes, excluded = _choose_probes(dimension), dict[Value, BadSetting]()
    for value in probes:
        words = [*condition, f"{dimension.key}={format_value(value)}"]
        error = _find_mistake([*fixed, *words])
        # A pair of values that exclude each other is no trial; one value alone is a mistake.
        if error is None or not str(error).startswith(group_of(dimension.key)):
            continue
        if not dimension.choices or _find_mistake(words) is not None:
            raise _explain(dimension, value, error)
        excluded[value] = error
    if len(excluded) == len(probes):
        raise next(iter(excluded.values()))
    return excluded


def _find_mistake(words: Sequence[str]) -> BadSetting | None:
    """Return what is wrong with the words, None where nothing is."""
    try:
        compose(words)
    except BadSetting as error:
        return error
    return None


def _list_condition_words(dimension: Dimension, parents: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Return the words of the condition under which a dimension counts."""
    if dimension.when is None:
        return ()
    key = strip_condition(dimension.when.key)
    return (*parents[dimension.when.key], f"{key}={format_value(dimension.when.value)}")


def _choose_probes(dimension: Dimension) -> Sequence[Value]:
    """Return the values to check: all choices, or the ends of a range and a value inside a continuous one."""
    if dimension.choices:
        return dimension.choices
    inside = (
        ()
        if dimension.is_integer or dimension.step
        else (dimension.low + 0.382 * (dimension.high - dimension.low),)
    )
    return (dimension.low, dimension.high, *inside)


def _explain(dimension: Dimension, value: Value, error: BadSetting) -> BadSetting:
    is_range = not dimension.choices and isinstance(value, float) and not value.is_integer()
    if is_range and "must be a whole number" in str(error):
        ends = f"{format_value(dimension.low)},{format_value(dimension.high)}"
        return BadSetting(
            f"{dimension.key} must be a whole number, got {dimension.format()!r}; "
            f"write {dimension.key}=int(interval({ends}))"
        )
    return error
