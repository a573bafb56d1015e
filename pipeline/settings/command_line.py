"""A trial is a command line: the words that were typed, and the settings that they stand for."""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass, replace

from pipeline.secrets import mask_all
from pipeline.settings.model import Mlp
from pipeline.settings.searching.measures import BY_CLASS, BY_ORDER, UNDER_ATTACK
from pipeline.settings.settings import Settings
from pipeline.settings.training import Engine, UserLoop

PROGRAM = "python -m pipeline"
"""How this program is called; the build of a wheel, in which it has a name of its own, writes that here."""

NOT_OF_A_TRIAL = ("cluster", "diagnose", "predict", "search", "tracking", "ui")
"""Groups that say how trials are chosen, recorded or shown: they are no part of one trial."""

MODEL_REFERENCES = ("record", "trained")
"""Keys that name a model of before: they are no part of a trial, which trains its own."""

WITHOUT_EFFECT = {
    *NOT_OF_A_TRIAL,
    *MODEL_REFERENCES,
    *("pruning", "price", "profile", "evaluate", "claim", "hydra", "data_dir", "cache_dir"),
}
"""Groups and keys that change nothing in the curve of a trial."""

DATA_OF_TRAINING = ("data.fraction",)
"""Keys of data that say how a trial uses it, and not which data it is."""

EPOCHS = "train.epochs"
"""The key that says how long a trial trains; a study may choose it after the trial has begun."""
SEED = "train.seed"


class Overrides(tuple[str, ...]):
    """The words `key=value` of a command line, in the order in which they were typed.

    It is a plain tuple of text wherever one is needed. A key may stand in it more than once: the last word
    counts. A key may name a group (`optimizer=adam`) or one value of it (`optimizer.beta1=0.8`).
    """

    __slots__ = ()

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the key of each word, in order."""
        return tuple(key_of(word) for word in self)

    def find(self, key: str) -> str | None:
        """Return the word that sets exactly `key`, the last one of several; None where there is none."""
        return next((word for word in reversed(self) if key_of(word) == key), None)

    def to_dict(self) -> dict[str, str]:
        """Return the value of each key, as text."""
        return {key: value or "" for key, value in map(split_word, self)}

    def with_(self, *words: str) -> "Overrides":
        """Return these words, with `words` at the end in the place of those that set the same keys.

        Values below a group that `words` set stay: they count under any of its options.
        """
        replaced = Overrides(words).keys
        return Overrides((*(word for word in self if key_of(word) not in replaced), *words))

    def without(self, *keys: str) -> "Overrides":
        """Return the words that set none of `keys`, and no value of a group that `keys` name."""
        return Overrides(word for word in self if not _is_within(key_of(word), keys))

    def drop_superseded(self) -> "Overrides":
        """Return the words without those that a later word for the same key replaces."""
        last = {key_of(word): number for number, word in enumerate(self)}
        return Overrides(word for number, word in enumerate(self) if number == last[key_of(word)])

    def name_data(self) -> str:
        """Return the words that name a data set, and a user's own loop; a fraction of it is no other one.

        They are recorded, so secrets are masked in them.
        """
        named = self.without(*DATA_OF_TRAINING, "trial.fair_midway")
        return " ".join(
            mask_all(sorted(word for word in named if group_of(key_of(word)) in ("data", "trial")))
        )

    def trial_part(self) -> "Overrides":
        """Return the words that are part of one trial; so is a measure that its epochs are scored by."""
        measures = (f"search.objective={name}" for name in (*BY_CLASS, *BY_ORDER, UNDER_ATTACK))
        scored_by = [word for word in measures if word in self]
        objectives = self.find("search.objectives") or ""
        if UNDER_ATTACK in objectives:
            scored_by.append(objectives)
        return self.without(*NOT_OF_A_TRIAL, *MODEL_REFERENCES).with_(*scored_by)


@dataclass(frozen=True, slots=True)
class CommandLine:
    """What the user asked for: settings, the option chosen in each group, and the words that say so."""

    settings: Settings
    choices: dict[str, str]
    overrides: Overrides

    @property
    def subject(self) -> str:
        """Return what is trained on, in a word for people: the kind of data, or the user's own loop."""
        trial = self.settings.trial
        return trial.name if isinstance(trial, UserLoop) else self.choices["data"]

    def name_engine(self, engine: str) -> "CommandLine":
        """Return the command line with the engine that was measured, so that it repeats the curve.

        Nothing is added where the words name one, nor for a perceptron, whose engine follows from a rule.
        """
        settings = self.settings
        by_rule = isinstance(settings.trial, UserLoop) or isinstance(settings.model, Mlp)
        if not engine or by_rule or settings.engine is not Engine.auto:
            return self
        return replace(self, overrides=self.overrides.with_(f"engine={engine}"))

    def command_line(self, command: str) -> str:
        """Return the line that repeats this in a shell, as arguments of `command` (run, sweep ...).

        It is shown and recorded, so the secrets of addresses are masked in it.
        """
        return format_command(command, mask_all(self.overrides))


def format_command(command: str, words: Iterable[str]) -> str:
    """Return the line that gives `words` to a command in a shell."""
    return shlex.join([*PROGRAM.split(), command, *words])


def split_word(word: str) -> tuple[str, str | None]:
    """Return key and value of `key=value`; the value is None where there is no `=`."""
    key, equals, value = word.partition("=")
    return key, value if equals else None


def key_of(word: str) -> str:
    """Return the key of `key=value`."""
    return split_word(word)[0]


def group_of(key: str) -> str:
    """Return the group of conf/ that a key belongs to: `train` for `train.epochs`, `data` for `data`."""
    return key.partition(".")[0]


def _is_within(key: str, keys: tuple[str, ...]) -> bool:
    """Return whether `key` is one of `keys`, or a value of a group among them."""
    return key in keys or group_of(key) in keys
