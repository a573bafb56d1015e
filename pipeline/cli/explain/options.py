"""The option that was meant, where it is one of several names: of networks, devices, data, objectives."""

import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import PurePath

from pipeline.cli.explain import foreign_values
from pipeline.cli.explain.advice import Advice, plain
from pipeline.cli.explain.values import split_values
from pipeline.settings.rules import FUNCTION
from pipeline.settings.searching.objectives import ENERGY, OBJECTIVES
from pipeline.settings.searching.quantities import read_budget, write_amount

TABLES = (".csv", ".tsv", ".xlsx", ".parquet", ".jsonl", ".arrow", ".feather", ".gz", ".arff", ".sav", ".svm")
ARRAYS = (".npz", ".npy", ".mat", ".h5", ".hdf5")
NOTES = {
    "model": "another network of yours: model=custom model.build=package.module:function",
    "cluster": "inside of what the other one allocates",
}
"""By group: what one should know of the option that comes nearest."""


def name_gpu(number: str) -> Advice:
    """Return the words for one of several GPUs."""
    return Advice(("device=gpu",), note=f"which one says CUDA_VISIBLE_DEVICES={number} before the command")


def translate_choice(key: str, value: str, names: Sequence[str]) -> Advice | None:
    """Translate an option of a group, or one of the `names` of a setting; None where nobody knows it."""
    if key == "data" and ("/" in value or PurePath(value).suffix.lower() in TABLES):
        return name_file(value)
    if key == "trial" and FUNCTION.fullmatch(value):
        return Advice(("trial=function", f"trial.call={value.replace('.py:', ':')}"))
    if several := _translate_several(key, value, names):
        return several
    small = value.strip(" =>:~;,\"'").lower()
    last = re.sub(r"\(.*\)$", "", small.rpartition(":")[2]).rpartition(".")[2]
    forms = [small, small.replace("-", "_"), small.replace(" ", "_"), last, plain(last)]
    aliases = foreign_values.VALUE_ALIASES.get(key, {})
    for form in forms:
        if form in names:
            return Advice((f"{key}={form}",))
        if alias := aliases.get(form):
            first, *further = alias.split()
            return Advice((f"{key}={first}", *further))
    if key == "device" and (match := re.fullmatch(r"(?:/?(?:cuda|gpu):)?(\d+)", small)):
        return name_gpu(match[1])
    if remedy := _find_nearest(key, value, forms, names):
        return remedy
    near = get_close_matches(small, list(names), n=1, cutoff=0.6)
    return Advice((f"{key}={near[0]}",)) if near else None


def _find_nearest(key: str, value: str, forms: Sequence[str], names: Sequence[str]) -> Advice | None:
    """Find what comes nearest to what others have and nothing here has, by the forms of its name."""
    nearest, others = foreign_values.NEAREST.get(key, ("", ""))
    if nearest and (like := [form for form in forms if form in others.split()]):
        return Advice((f"{key}={nearest}",), lead=f"there is no {like[0]} here", note=NOTES.get(key, ""))
    if key == "model" and (like := [form for form in forms if form in foreign_values.ON_TEXTS]):
        return Advice(("model=text",), lead=f"there is no {like[0]} here", note=NOTES["model"])
    if key == "data":
        return name_data(value, forms)
    if key == "price":
        return name_price(forms[0], names)
    if key == "search" and (sampler := _find_sampler(forms)):
        return Advice((f"search.sampler={sampler}",))
    return None


def name_price(value: str, names: Sequence[str]) -> Advice | None:
    """Name one of the prices that a text has in it, or what an hour costs: `nvidia-a100`, `2usd`, `v100`."""
    if priced := [name for name in names if name in re.split(r"[^a-z0-9]", value)]:
        return Advice((f"price={priced[0]}",))
    money = read_budget(f"{value}usd" if re.fullmatch(r"[\d.]+", value) else write_amount(value))
    if money and money.money is not None:
        currency = () if money.currency == "usd" else (f"price.currency={money.currency}",)
        return Advice((f"price.per_hour={money.money:g}", *currency))
    if not names:
        return None
    return Advice(("price.per_hour=2",), lead=f"{value} has no price here", note="what an hour of it costs")


def _find_sampler(forms: Sequence[str]) -> str | None:
    """Find the sampler that one of the forms of a word means."""
    aliases = foreign_values.VALUE_ALIASES["search.sampler"]
    samplers = {**{sampler: sampler for sampler in aliases.values()}, **aliases}
    return next((samplers[form] for form in forms if form in samplers), None)


def _translate_several(key: str, value: str, names: Sequence[str]) -> Advice | None:
    """Translate several options, such as `adam|sgd` or `[adam, sgd]`."""
    words = re.split(r"\s*[,|;]\s*|\s+", re.sub(r"^\w*\(|[\[\](){}\"']", "", value).strip(" ,;|"))
    if len(words) < 2 or not all(words):
        return None
    meant = [translate_choice(key, word, names) for word in words]
    options = [remedy.words[0].partition("=")[2] for remedy in meant if remedy and not remedy.lead]
    if len(set(options)) < len(words):
        return None
    return Advice((f"{key}={','.join(options)}",), is_search=True)


def name_data(value: str, forms: Sequence[str]) -> Advice | None:
    """Return the words for a well-known data set, or for a file."""
    name = next((foreign_values.CATALOGUE[form] for form in forms if form in foreign_values.CATALOGUE), None)
    if name:
        return Advice(("data=tfds", f"data.name={name}"), note="of TensorFlow Datasets")
    return name_file(value) if PurePath(value).suffix else None


def name_file(path: str) -> Advice:
    """Name a user's file or folder with the kind of data that it is by its ending."""
    suffix = PurePath(path).suffix.lower()
    if suffix in ARRAYS:
        return Advice(("data=arrays", f"data.path={path}"))
    if suffix in TABLES:
        return Advice(("data=csv", f"data.path={path}", "data.label=-1"), note="-1: the last column")
    return Advice(("data=image_folder", f"data.path={path}"), note="or csv, audio_folder, text_folder, idx")


def name_objectives(value: str) -> Advice:
    """Name objectives; accuracy and cost are always the first two."""
    words = [word for word in split_values(value) if plain(word) not in ("accuracy", "acc", "cost")]
    near = [get_close_matches(word.lower(), (ENERGY, *OBJECTIVES), n=1, cutoff=0.5) for word in words]
    further = dict.fromkeys(match[0] for match in near if match)
    return Advice((f"search.objectives=[{','.join(('accuracy', 'cost', *further))}]",))


def name_widths(widths: Sequence[str]) -> Advice | None:
    """Name hidden layers by their widths, such as `(64, 64)`; here all have the same."""
    if not widths or not all(width.isdecimal() for width in widths):
        return None
    lead = "" if len(set(widths)) == 1 else "all hidden layers have one width here"
    return Advice((f"model.hidden={widths[0]}", f"model.layers={len(widths)}"), lead=lead)
