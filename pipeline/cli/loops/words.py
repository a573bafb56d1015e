"""The words of a command line whose training loop is the user's own: those of ours, and its own keys."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

from hydra.core.override_parser.types import QuotedString

from pipeline.cli import arguments, schema
from pipeline.errors import BadSetting
from pipeline.settings.command_line import CommandLine, group_of, key_of, split_word
from pipeline.settings.kinds import kinds_of, option_name
from pipeline.settings.settings import Settings
from pipeline.settings.training import UserLoop
from pipeline.trial import user_keys
from pipeline.trial.user_key import OF_TRAIN

LOOPS = tuple(option_name(kind) for kind in kinds_of(UserLoop))
"""Options of the group `trial` whose training loop is the user's own."""

MEANT = {
    *("trial", "device", "cluster", "price", "tracking", "ui", "search", "pruning", "cache_dir"),
    *OF_TRAIN.values(),
}
"""Groups and keys of ours that say something about such a trial."""

BARRED = {
    *MEANT,
    "train",
    "diagnose",
    "evaluate",
    "profile",
    "experiment",
    "hydra",
    "claim",
    "record",
} | {
    "trained",
    "data_dir",
    "state",
}
"""Names that no key of the user's may have, since they are ours in any command."""

OF_NETWORKS = ("search.max_latency_ms", "search.max_parameters", "search.objective")
"""Keys of the search that look into a network."""

NOT_FOR_LOOPS = ("preprocess", "train", "evaluate", "profile", "diagnose")


@dataclass(frozen=True, slots=True)
class LoopWords:
    """Words of ours, and those that set keys of the user's."""

    ours: list[str]
    users: list[str]


def find_kind(pairs: Iterable[str]) -> str | None:
    """Return which kind of loop the words ask for; None where it is none of the user's own."""
    typed = [value for key, value in map(split_word, pairs) if key == "trial"]
    return typed[-1] if typed and typed[-1] in LOOPS else None


def check_command(command: str, words: Sequence[str]) -> None:
    """Refuse a command that does not go with a loop of the user's own.

    Raises:
        BadSetting: it is one that looks into a network.
    """
    if command in NOT_FOR_LOOPS:
        require_network(command, words)


def require_network(command: str, words: Sequence[str]) -> None:
    """Refuse a loop of the user's own in the words of a command, those of its own options left out.

    Raises:
        BadSetting: the words ask for one.
    """
    if kind := find_kind(arguments.normalise_words(words)):
        raise BadSetting(
            f"{command} needs trial=network, since it looks into a network and its data, got trial={kind}; "
            "use run or sweep"
        )


def rename(pairs: Sequence[str]) -> list[str]:
    """Return the words with the long names of what every loop has: `epochs=3` is `train.epochs=3`."""
    if find_kind(pairs) is None:
        return list(pairs)
    return [OF_TRAIN.get(key_of(pair), key_of(pair)) + pair[len(key_of(pair)) :] for pair in pairs]


def split(pairs: Sequence[str]) -> LoopWords | None:
    """Split words into ours and the user's; None where the training loop is ours.

    Raises:
        BadSetting: a word of ours says nothing about such a trial.
    """
    kind = find_kind(pairs)
    if kind is None:
        return None
    ours, users = list[str](), list[str]()
    for pair in rename(pairs):
        key = key_of(pair)
        if key in MEANT or group_of(key) in MEANT:
            _check_ours(key, pair, kind)
            ours.append(pair)
        elif key.isidentifier() and key not in BARRED:
            _check_form(key, pair)
            users.append(pair)
        else:
            raise _explain_foreign(key, pair, kind)
    return LoopWords(ours, users)


def _check_ours(key: str, pair: str, kind: str) -> None:
    if key in OF_NETWORKS and (split_word(pair)[1] or "") not in {"null", "accuracy"}:
        raise _refuse(key, pair, kind)
    if key == "trial.values" or key.startswith("trial.values."):
        raise BadSetting(f"trial has no setting values, got {pair!r}; write the keys by themselves: width=32")


def _check_form(key: str, pair: str) -> None:
    override = arguments.parse(pair)
    if override.is_add() or override.is_delete() or override.package:
        raise BadSetting(
            f"{key} can only be set, not added, deleted or moved, got {pair!r}; write {key}=VALUE"
        )


def _explain_foreign(key: str, pair: str, kind: str) -> BadSetting:
    """Explain a word that is neither a key of the user's nor one of ours that means something here."""
    plain = key.replace("-", "_")
    if "-" in key and plain.isidentifier():
        return BadSetting(f"{key} must have letters, digits and _ alone, got {pair!r}; write {plain}")
    if group_of(key) == "hydra" or not key.replace(".", "").replace("_", "").isalnum():
        return BadSetting(f"{key} is not a setting of a trial, got {pair!r}; leave it out")
    if key in schema.list_rules() or group_of(key) in schema.list_rules() or key in BARRED:
        return _refuse(key, pair, kind)
    near = get_close_matches(key, [name for name in schema.list_rules() if group_of(name) in MEANT], n=1)
    hint = f"; did you mean {near[0]}?" if near else "; see --help for the keys"
    return BadSetting(f"{key} is not a setting, got {split_word(pair)[1] or 'nothing'}{hint}")


def _refuse(key: str, pair: str, kind: str) -> BadSetting:
    remedy = "give a key of your own another name" if key in BARRED else "keys of your own have no dot"
    return BadSetting(
        f"{key} must be left out with trial={kind}, whose loop is your own, got "
        f"{split_word(pair)[1] or 'nothing'}; {remedy}"
    )


def fill(settings: Settings, words: LoopWords, searched: Iterable[str] = ()) -> Settings:
    """Return the settings with the user's keys, checked; `searched`: keys that a search sets later.

    Raises:
        BadSetting: a key is none of the loop's, breaks its rule, or is missing.
    """
    trial = settings.trial
    assert isinstance(trial, UserLoop)
    keys = user_keys.describe(trial)
    _check_names(keys)
    typed = {key_of(pair): _read_value(pair) for pair in words.users}
    if keys.is_open:
        _check_similar(typed)
    filled = replace(trial, values=keys.read(typed, searched))
    train = settings.train
    if keys.epochs is not None and not any(key_of(pair) == "train.epochs" for pair in words.ours):
        train = replace(train, epochs=keys.epochs)
    return replace(settings, trial=filled, train=train)


def _check_names(keys: user_keys.UserKeys) -> None:
    """Raise where a key is called as one of ours that such a command has, too."""
    for key in keys.keys:
        if key.name in BARRED:
            raise BadSetting(
                f"{key.name} of {keys.where} must have another name, since it is ours; rename it"
            )


def _check_similar(names: Iterable[str]) -> None:
    """Raise where a word for a loop that declares nothing is all but one of ours: a typing error."""
    for name in names:
        near = get_close_matches(name, [*MEANT, *OF_TRAIN], n=1, cutoff=0.8)
        if near:
            raise BadSetting(f"{name} is not a setting; did you mean {near[0]}?")


def _read_value(pair: str) -> tuple[Any, str]:
    """Return the value of a word, and its text as typed."""
    override = arguments.parse(pair)
    if override.is_sweep_override():
        raise BadSetting(
            f"{key_of(pair)} must be one value, got several in {pair!r}; quote a value with a comma"
        )
    value = override.value()
    return _to_plain(value), str(_to_plain(value)) if isinstance(value, str | QuotedString) else (
        split_word(pair)[1] or ""
    ).strip()


def _to_plain(value: Any) -> Any:
    if isinstance(value, QuotedString):
        return str(value.text)
    if isinstance(value, list):
        return [_to_plain(item) for item in value]
    return value


def leave_out_networks(command_line: CommandLine) -> CommandLine:
    """Return the command line of a sweep without what conf/search says of networks, unless it was typed."""
    search, typed = command_line.settings.search, command_line.overrides.keys
    search = replace(
        search,
        space=search.space if "search.space" in typed else [],
        when=search.when if "search.when" in typed else {},
        enqueue=search.enqueue if "search.enqueue" in typed else [],
    )
    return replace(command_line, settings=replace(command_line.settings, search=search))
