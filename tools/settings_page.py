"""The page of all settings: every key of conf/ with its default, its rule, an example and what it means.

The rule is asked of the settings classes themselves: values far below and far above what is sensible are
tried, and the answers say where the bounds are. So the page cannot differ from the program.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any, get_type_hints

import yaml
from omegaconf import OmegaConf

from pipeline.cli import help, schema
from pipeline.cli.completion.complete import TYPED_NAMES
from pipeline.errors import BadSetting
from pipeline.settings.addresses import CONF, find_options
from pipeline.settings.kinds import option_name

PROBES: dict[str, tuple[Any, ...]] = {
    "a whole number": (-(10**9), 10**18),
    "a number": (-1e12, 1e30),
    "a list, each a whole number": ([-1], []),
    "a list": ([], ["?"]),
    "text": ("?\0", "?"),
    "names with values": ({"?\0": "?"},),
}
"""Values that nobody means, by the beginning of what the type of a setting says."""
MUST = re.compile(r"([\w.]+) must be (.+), got ", re.DOTALL)

EXAMPLES = {
    "engine": "keras",
    "data_dir": "/data/raw",
    "cache_dir": "/data/prepared",
    "trained": "models:/digits@knee",
    "record": "model",
    "trial.command": "'python train.py --width {width} --epochs {epochs}'",
    "trial.call": "my_training:train",
    "data.path": "people.csv",
    "data.label": "kind",
    "data.name": "imdb",
    "data=tfds.name": "cifar10",
    "data.config": "plain_text",
    "data=datasets.features": "[text]",
    "data=arrays.features": "images",
    "data.test_features": "test_features",
    "data.test_labels": "test_labels",
    "data.channels": "first",
    "data.rate": "16000",
    "data.size": "[28,28]",
    "data.test_path": "later.csv",
    "data.validation": "later.csv",
    "data.text": "remark",
    "data.columns": "[age,income]",
    "data.drop": "[zip]",
    "data.categorical": "[zip]",
    "data.separator": "';'",
    "data.quote": "none",
    "data.missing": "[unknown,-999]",
    "data.decimal": ",",
    "data.thousands": "none",
    "data.dates": "day/month/year",
    "data.group": "person",
    "data.time": "day",
    "data.fraction": "0.25",
    "data.encoding": "cp1252",
    "data.background": "'#808080'",
    "data.test_speaker": "george",
    "spectrogram.high_hz": "8000",
    "model.dropout": "0.3",
    "model.pretrained": "models:/digits@knee",
    "model.build": "my_models:build",
    "loss.label_smoothing": "0.1",
    "optimizer.momentum": "0.9",
    "optimizer.weight_decay": "0.01",
    "train.patience": "10",
    "train.seed": "7",
    "train.start_from": "models:/digits@knee",
    "augment.shift": "0.1",
    "augment.crop": "0.2",
    "augment.rotate": "10",
    "preprocess.seed": "7",
    "privacy.noise_multiplier": "1.1",
    "privacy.epsilon": "8",
    "evaluate.saliency": "8",
    "evaluate.shift_seed": "7",
    "evaluate.groups": "clinic",
    "predict.output": "answers.parquet",
    "diagnose.save": "cheaper",
    "device.threads": "4",
    "device.count": "2",
    "cluster.address": "head:6379",
    "cluster.slots": "16",
    "cluster.share": "0.5",
    "price.per_hour": "2",
    "price.currency": "eur",
    "price.watts": "150",
    "price.carbon": "480",
    "schedule.final": "0.1",
    "tracking.experiment": "vision",
    "tracking.run_name": "first",
    "tracking.register": "digits",
    "tracking.tags": "'{team: vision}'",
    "ui.host": "0.0.0.0",
    "search.space": "[]",
    "search.when": "{}",
    "search.objectives": "[accuracy,cost,latency_ms]",
    "search.objective": "balanced_accuracy",
    "search.budget": "2min",
    "search.trials": "40",
    "search.budget_device_seconds": "60",
    "search.patience": "20trials",
    "search.timeout": "3600",
    "search.trial_timeout": "600",
    "search.workers": "4",
    "search.storage": "postgresql://fulcrum@10.0.0.5/studies",
    "search.study": "first",
    "search.seed": "7",
    "search.enqueue": "['model.hidden=64 optimizer=sgd']",
    "search.from_diagnosis": "RUN_ID",
    "search.max_latency_ms": "5",
    "search.max_parameters": "100000",
}
"""What one might type, where the default is none or says nothing."""


def write_settings() -> str:
    """Return the page: a section for each group, a table for each of its options."""
    groups = [*help.read_defaults()]
    lines = [
        *("---", "hide: [toc]", "---", ""),
        "# Settings",
        "",
        "Every key can be set on the command line, `group=option` or `group.key=value`, and searched by a "
        "sweep. The first option of a group is its default. The same text in a terminal: "
        "`python -m pipeline --help GROUP`. A value that breaks its rule is refused in one line, before "
        "anything runs.",
        "",
        " - ".join(f"[{group}](#{group})" for group in groups) + " - [outside groups](#outside-groups)",
    ]
    for group in groups:
        lines += ["", f"## {group}"]
        for option in help.list_options(group):
            lines += ["", f"**`{group}={option.name}`** {_escape(option.about)}", ""]
            lines += _write_option(group, option)
    outside = tuple((CONF / "config.yaml").read_text().partition("\n\n")[2].splitlines())
    lines += ["", "## Outside groups", ""]
    lines += _write_table("", help.Option("", "", outside), schema.list_rules())
    return "\n".join(lines) + "\n"


def find_rules(group: str, option: str) -> dict[str, str]:
    """Return what each key of an option must be: its type, and its bounds where it has some."""
    settings = make_default(group, option)
    types = {name: schema.describe_type(hint) for name, hint in get_type_hints(type(settings)).items()}
    return {
        f"{group}.{name}": _find_bounds(settings, f"{group}.{name}", rule) for name, rule in types.items()
    }


@cache
def make_default(group: str, option: str) -> Any:
    """Return the settings of an option as conf/ has them; what must be set is that of the examples."""
    kinds = {option_name(kind): kind for kind in schema.KINDS.get(group, ())}
    if not kinds:
        option = help.read_defaults()[group]  # the other options differ in values alone
    values = yaml.safe_load(find_options(group)[option].read_text()) or {}
    own = {
        name: yaml.safe_load(_find_typed(group, option, name) or "") if value == "???" else value
        for name, value in values.items()
        if name != "defaults"
    }
    kind = kinds.get(option) or schema.SINGLE[group]
    return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(kind), own))


def _find_bounds(settings: Any, key: str, rule: str) -> str:
    """Ask the class of the settings what the key must be; `rule`: its type."""
    kind = next((kind for kind in PROBES if rule.startswith(kind)), None)
    for value in PROBES[kind] if kind else ():
        try:
            replace(settings, **{key.partition(".")[2]: value})
        except BadSetting as error:
            match = MUST.match(str(error))
            if match and match[1] == key:
                return f"{kind} {match[2]}" if match[2][0] in "<>" else match[2]
        except (ValueError, AttributeError, TypeError):
            continue  # it was of no form that the check expects
    return rule


def find_example(group: str, option: str, name: str, rule: str, default: str) -> str:
    """Return a word that sets a key, to something else than its default where it is a choice."""
    names = ["true", "false"] if rule.startswith("true or false") else []
    if rule.startswith("one of "):
        names = rule.removeprefix("one of ").removesuffix(" or null").split(", ")
    others = [name for name in names if name not in (default, "none")]
    value = _find_typed(group, option, name) or next(iter(others), default)
    return f"{name_key(group, name)}={value}"


def _find_typed(group: str, option: str, name: str) -> str | None:
    return EXAMPLES.get(f"{group}={option}.{name}") or EXAMPLES.get(f"{group}.{name}".removeprefix("."))


def name_key(group: str, name: str) -> str:
    """Return the key as one types it."""
    key = f"{group}.{name}".removeprefix(".")
    return TYPED_NAMES.get(key, key)


def _write_option(group: str, option: help.Option) -> list[str]:
    if group == "experiment":
        return ["```yaml", *option.settings, "```"] if option.settings else []
    return _write_table(group, option, find_rules(group, option.name)) if option.settings else []


def _write_table(group: str, option: help.Option, rules: Mapping[str, str]) -> list[str]:
    rows = [f"| {_write_row(group, option.name, line, rules)} |" for line in option.settings]
    return ["| setting | default | must be | such as | meaning |", "|---|---|---|---|---|", *rows]


def _write_row(group: str, option: str, line: str, rules: Mapping[str, str]) -> str:
    setting, _, comment = line.partition(" #")
    name, _, value = setting.strip().partition(":")
    if setting.startswith((" ", "-")):  # an element of the list above
        return f" | `{_escape(setting.strip())}` | | | {_escape(comment.strip())}"
    rule, default = rules[f"{group}.{name}".removeprefix(".")], value.strip()
    shown = "must be set" if default == "???" else f"`{_escape(default)}`" if default else ""
    example = f"`{_escape(find_example(group, option, name, rule, default))}`"
    about = [shown, _escape(rule), "" if rule.startswith("a group") else example, _escape(comment.strip())]
    return f"`{name_key(group, name)}` | {' | '.join(about)}"


def _escape(text: str) -> str:
    return text.replace("|", "\\|")
