"""What a sweep is asked for: its words taken apart, composed and checked before anything runs."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.cli import arguments, sweep_from_diagnosis, sweep_space
from pipeline.cli.compose import compose
from pipeline.errors import BadSetting
from pipeline.search.space import Dimension, Space, Value, key_in, word
from pipeline.settings.command_line import CommandLine
from pipeline.settings.measuring import Shift
from pipeline.settings.search import Search

AROUND = ("search", "tracking", "ui", "record", "trained")
"""Keys that are no part of a trial's command line."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is searched. `fixed`: words that all trials share; `epochs`: name of the dimension that says how
    long to train, if there is one.
    """

    told: CommandLine
    fixed: tuple[str, ...]
    space: Space
    epochs: str | None

    def about(self, device: str) -> dict[str, object]:
        """What all trials of the study share."""
        return {
            "space": list(self.space.text()),
            "settings": sorted(self.fixed),
            "device": device,
            "objective": self.told.settings.search.objective.value,
        }

    def default_name(self, device: str) -> str:
        """The same command on the same device takes up the same study."""
        about = repr(sorted(self.about(device).items()))
        return f"{self.told.choices['data']}-{hashlib.sha256(about.encode()).hexdigest()[:8]}"


def plan(words: Sequence[str]) -> Plan:
    """What the words ask for.

    Raises:
        BadInput: a word is wrong; nothing was looked at but the words, and a diagnosis that they name.
    """
    from pipeline.search.sweep import with_epochs
    from pipeline.search.trial_rows import searched

    fixed, several = sweep_space.split(arguments.overrides(words))
    told, first = compose(fixed), None
    if told.settings.search.from_diagnosis:
        fixed, first = _around(told.settings.search, fixed, several)
        told = _tried_first(compose(fixed), first)
    own = [pair for pair in fixed if pair.partition("=")[0].partition(".")[0] not in AROUND]
    if not any(pair.startswith("data=") for pair in own):
        own.insert(0, f"data={told.choices['data']}")  # a baseline may name another set
    if told.settings.train.start_from is not None:
        raise BadSetting("sweep needs train.from=null: its trials begin afresh, got a run; leave it out")
    search = told.settings.search
    if search.under_shift and told.settings.evaluate.shift is Shift.none:
        raise BadSetting(
            "search.objective=accuracy_under_shift needs evaluate.shift=noise (or blur, rotate, ...), "
            "got none; set one"
        )
    found = sweep_space.build(search.space, search.when, fixed, several)
    if first is not None:
        found = sweep_from_diagnosis.close_in(found, searched(compose([*own, *first]), found.searched()))
    _check(found, own)
    whole, epochs = with_epochs(
        found, told, lambda schedule: compose([*own, f"schedule={schedule}"]).settings.schedule.fair_midway
    )
    for line in search.enqueue:
        compose([*own, *line.split()])
    return Plan(told, tuple(own), whole, epochs)


def _around(search: Search, fixed: Sequence[str], several: Sequence[str]) -> tuple[list[str], list[str]]:
    """What is fixed in a search around a diagnosis, and the words that place its first trial."""
    lines = [*several, *search.space, *(line for lines in search.when.values() for line in lines)]
    searched = {line.partition("=")[0] for line in lines} - {word.partition("=")[0] for word in fixed}
    settled, first = sweep_from_diagnosis.split(
        sweep_from_diagnosis.found(search.from_diagnosis or ""), fixed, searched
    )
    return [*settled, *fixed], first


def _tried_first(told: CommandLine, words: Sequence[str]) -> CommandLine:
    """The same with one more baseline, ahead of the others."""
    search = told.settings.search
    search = replace(search, enqueue=[" ".join(words), *search.enqueue])
    return replace(told, settings=replace(told.settings, search=search))


def _check(found: Space, fixed: Sequence[str]) -> None:
    """Compose the ends of every dimension, so that a wrong key or value is told before anything runs."""
    parents: dict[str, tuple[str, ...]] = {}
    for each in found.dimensions:
        under = _under(each, parents)
        parents[each.name] = under
        for value in _probes(each):
            try:
                compose([*fixed, *under, f"{each.key}={word(value)}"])
            except BadSetting as error:
                # A pair of values that exclude each other is no trial; one value alone is a mistake.
                if str(error).startswith(each.key.partition(".")[0]):
                    raise _explained(each, value, error) from None


def _under(each: Dimension, parents: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The words under which a dimension counts."""
    if each.when is None:
        return ()
    key = key_in(each.when.key)
    return (*parents[each.when.key], f"{key}={word(each.when.value)}")


def _probes(each: Dimension) -> Sequence[Value]:
    """All choices; of a range its ends, and of a continuum a number in between."""
    if each.choices:
        return each.choices
    between = () if each.whole or each.step else (each.low + 0.382 * (each.high - each.low),)
    return (each.low, each.high, *between)


def _explained(each: Dimension, value: Value, error: BadSetting) -> BadSetting:
    if isinstance(value, float) and not value.is_integer() and "must be a whole number" in str(error):
        ends = f"{word(each.low)},{word(each.high)}"
        return BadSetting(
            f"{each.key} must be a whole number, got {each.text()!r}; write {each.key}=int(interval({ends}))"
        )
    return error
