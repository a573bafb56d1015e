"""The valid name that was meant: by likeness, or by what other tools of the field call it."""

import re
from collections.abc import Iterable
from difflib import get_close_matches

from pipeline.settings.searching.quantities import write_plainly

KEY_ALIASES = {
    "lr": "optimizer.learning_rate",
    "learningrate": "optimizer.learning_rate",
    "stepsize": "optimizer.learning_rate",
    "wd": "optimizer.weight_decay",
    "decay": "optimizer.weight_decay",
    "l2": "optimizer.weight_decay",
    "bs": "train.batch_size",
    "batch": "train.batch_size",
    "batchsize": "train.batch_size",
    "epoch": "train.epochs",
    "maxepochs": "train.epochs",
    "numepochs": "train.epochs",
    "nepochs": "train.epochs",
    "randomseed": "train.seed",
    "randomstate": "train.seed",
    "width": "model.hidden",
    "units": "model.hidden",
    "neurons": "model.hidden",
    "hiddensize": "model.hidden",
    "hiddenunits": "model.hidden",
    "nhidden": "model.hidden",
    "hiddensizes": "model.hidden",
    "hiddenlayersizes": "model.hidden",
    "hiddendim": "model.hidden",
    "depth": "model.layers",
    "numlayers": "model.layers",
    "nlayers": "model.layers",
    "dropoutrate": "model.dropout",
    "labelsmoothing": "loss.label_smoothing",
    "classweight": "loss.class_weights",
    "threads": "device.threads",
    "dataset": "data",
    "file": "data.path",
    "csv": "data.path",
    "target": "data.label",
    "labelcolumn": "data.label",
    "targetcolumn": "data.label",
    "testsize": "preprocess.test",
    "testsplit": "preprocess.test",
    "valsplit": "preprocess.validation",
    "valsize": "preprocess.validation",
    "validationsplit": "preprocess.validation",
    "gpus": "device.count",
    "ngpus": "device.count",
    "numgpus": "device.count",
    "ntrials": "search.trials",
    "numtrials": "search.trials",
    "jobs": "search.workers",
    "njobs": "search.workers",
    "numworkers": "search.workers",
    "objective": "search.objective",
    "direction": "search.objectives",
    "studyname": "search.study",
    "scheduler": "schedule",
    "lrscheduler": "schedule",
    "lrschedule": "schedule",
    "optim": "optimizer",
    "opt": "optimizer",
    "optimiser": "optimizer",
    "solver": "optimizer",
    "criterion": "loss",
    "arch": "model",
    "net": "model",
    "network": "model",
    "architecture": "model",
    "runname": "tracking.run_name",
    "dtype": "precision",
    "mixedprecision": "precision",
    "policy": "precision",
}
"""What PyTorch, Keras, Optuna and others call a setting: without capitals and signs between words."""

INT8 = "precision=int8"
"""A precision that answers have, and no training."""

VALUE_ALIASES = {
    "precision": {
        "fp16": "mixed_float16",
        "half": "mixed_float16",
        "float16": "mixed_float16",
        "amp": "mixed_float16",
        "16": "mixed_float16",
        "16_mixed": "mixed_float16",
        "bf16_mixed": "mixed_bfloat16",
        "32": "float32",
        "32_true": "float32",
        "bf16": "mixed_bfloat16",
        "bfloat16": "mixed_bfloat16",
        "fp32": "float32",
        "full": "float32",
        "single": "float32",
    },
    "optimizer": {"adamw": "adam optimizer.weight_decay=0.01", "momentum": "sgd optimizer.momentum=0.9"},
    "model": {
        "perceptron": "mlp",
        "dense": "mlp",
        "convnet": "cnn",
        "conv": "cnn",
        "linear": "mlp model.layers=0",
    },
    "loss": {
        "ce": "cross_entropy",
        "categorical_crossentropy": "cross_entropy",
        "crossentropy": "cross_entropy",
        "bce": "binary_cross_entropy",
        "binary_crossentropy": "binary_cross_entropy",
        "mse": "mean_squared_error",
        "l2": "mean_squared_error",
        "mae": "mean_absolute_error",
        "l1": "mean_absolute_error",
        "smooth_l1": "huber",
    },
    "device": {"cuda": "gpu", "cuda:0": "gpu"},
    "schedule": {
        "cosine_annealing": "cosine",
        "cosineannealing": "cosine",
        "cosineannealinglr": "cosine",
        "none": "constant",
        "onecycle": "warmup_linear",
    },
    "data": {"table": "csv", "tsv": "csv", "xlsx": "csv", "parquet": "csv", "images": "image_folder"},
}
"""What others call an option of a group, and the words that say it here."""

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?"
_IS_NUMBER = re.compile(_NUMBER, re.IGNORECASE)
_SHARE = re.compile(rf"({_NUMBER})\s*%", re.IGNORECASE)
_RANGE = re.compile(rf"({_NUMBER})\s*(?:\.\.\.?|:|-|to)\s*({_NUMBER})", re.IGNORECASE)
_CALL = re.compile(
    rf"(?:log_?|log_?uniform|log_?interval|uniform|range|between)\(\s*({_NUMBER})\s*[,;:]\s*({_NUMBER})\s*\)",
    re.IGNORECASE,
)


def suggest_name(word: str, names: Iterable[str]) -> str:
    """Return the name that is most like `word`, whatever its capitals, as a remedy, or nothing."""
    near = get_close_matches(word.lower(), list(names), n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else ""


def suggest_key(key: str, value: str | None, rules: Iterable[str]) -> str:
    """Return the setting that `key` means as a remedy: by an alias, by its last name, by likeness.

    `value`: as typed, None where nothing was; `rules`: all keys that there are.
    """
    known, name = list(rules), key.rpartition(".")[2]
    if key.lower() in known:
        return f"; did you mean {key.lower()}{f'={value}' if value else ''}?"
    settings = [full for full in known if "." in full]
    if "." in key and (near := get_close_matches(key, settings, n=1, cutoff=0.8)):
        return f"; did you mean {near[0]}?"
    if precision := VALUE_ALIASES["precision"].get(name.lower()):
        return f"; did you mean precision={precision}?"
    if name.lower() in ("gpu", "cuda", "cpu"):
        return f"; did you mean device={name.lower().replace('cuda', 'gpu')}?"
    alias = KEY_ALIASES.get(re.sub(r"[_-]", "", name.lower()))
    if alias is None:
        same = [full for full in settings if full.rpartition(".")[2] == name]
        usual = [full for full in same if full.startswith(("train.", "model.", "data."))]
        alias = next(iter(usual or same), None)
    if alias == "precision" and (value or "").lower() in ("true", "1", "yes"):
        value = VALUE_ALIASES["precision"]["amp"]
    if alias in known:
        return f"; did you mean {alias}{f'={value}' if value else ''}?"
    return suggest_name(key, known)


def suggest_value(group: str, value: str, options: Iterable[str]) -> str:
    """Return the option of `group` that `value` means as a remedy, or nothing."""
    known = list(options)
    if f"{group}={value.lower()}" == INT8:
        return "; 8 bits are for answers: profile.runtime=litert_int8, or profile trained=... precision=int8"
    alias = VALUE_ALIASES.get(group, {}).get(value.lower().replace("-", "_"))
    if alias and alias.partition(" ")[0] in known:
        return f"; did you mean {group}={alias}?"
    return suggest_name(value, known)


def suggest_range(key: str, text: str) -> str:
    """Return how a range of values is written, as a remedy; nothing where `text` is none."""
    value = write_plainly(text)
    if match := _CALL.fullmatch(value):
        ends = f"interval({match[1]},{match[2]})"
        return f"; write {key}={f'tag(log,{ends})' if value.lower().startswith('log') else ends} with sweep"
    if match := _RANGE.fullmatch(value):
        return f"; write {key}=interval({match[1]},{match[2]}) with sweep"
    if match := _SHARE.fullmatch(value):
        return f"; did you mean {key}={float(match[1]) / 100:.6g}?"
    return f"; did you mean {key}={value}?" if value != text and _IS_NUMBER.fullmatch(value) else ""
