"""Hands the dataclasses of `pipeline.settings` to Hydra as schemas, one for each conf option."""

from functools import cache

from hydra.core.config_store import ConfigStore

from pipeline.settings import data_kinds, settings
from pipeline.settings.data import Arrays, Digits, Idx, Mnist
from pipeline.settings.diagnosis import Diagnose
from pipeline.settings.measuring import Claim, Device, Evaluate, Price, Profile
from pipeline.settings.model import Cnn, Custom, Mlp, Text
from pipeline.settings.optimizer import Adam, Constant, Cosine, Sgd, WarmupLinear
from pipeline.settings.preprocess import Preprocess, Spectrogram, Vocabulary
from pipeline.settings.search import Pruning, Search
from pipeline.settings.tracking import Tracking, Ui
from pipeline.settings.training import (
    Augment,
    BinaryCrossEntropy,
    CrossEntropy,
    MeanSquaredError,
    Precision,
    Train,
)

KINDS: dict[str, tuple[type, ...]] = {
    "data": (
        Digits,
        Mnist,
        Idx,
        Arrays,
        data_kinds.Fsdd,
        data_kinds.AudioFolder,
        data_kinds.RtPolarity,
        data_kinds.TextFolder,
        data_kinds.Csv,
        data_kinds.ImageFolder,
        data_kinds.Tfds,
    ),
    "model": (Mlp, Cnn, Text, Custom),
    "loss": (CrossEntropy, BinaryCrossEntropy, MeanSquaredError),
    "optimizer": (Sgd, Adam),
    "schedule": (Constant, Cosine, WarmupLinear),
}
SINGLE: dict[str, type] = {
    "preprocess": Preprocess,
    "spectrogram": Spectrogram,
    "vocabulary": Vocabulary,
    "precision": Precision,
    "train": Train,
    "augment": Augment,
    "evaluate": Evaluate,
    "profile": Profile,
    "diagnose": Diagnose,
    "device": Device,
    "price": Price,
    "pruning": Pruning,
    "tracking": Tracking,
    "ui": Ui,
    "search": Search,
}


@cache
def register() -> None:
    """Store `schema`, `schema/<group>` and, for groups with several kinds, `schema/<group>/<option>`."""
    store = ConfigStore.instance()
    store.store(name="schema", node=settings.Settings)
    store.store(group="schema", name="claim", node=Claim)
    for group, kinds in KINDS.items():
        for kind in kinds:
            store.store(group=f"schema/{group}", name=settings.option_name(kind), node=kind)
    for group, kind in SINGLE.items():
        store.store(group="schema", name=group, node=kind)
