"""Hands the dataclasses of `pipeline.settings` to Hydra as schemas, one for each conf option."""

from functools import cache

from hydra.core.config_store import ConfigStore

from pipeline import data_kinds, settings

KINDS: dict[str, tuple[type, ...]] = {
    "data": (
        settings.Digits,
        settings.Mnist,
        settings.Idx,
        settings.Arrays,
        data_kinds.Fsdd,
        data_kinds.AudioFolder,
        data_kinds.RtPolarity,
        data_kinds.TextFolder,
        data_kinds.Csv,
        data_kinds.ImageFolder,
        data_kinds.Tfds,
    ),
    "model": (settings.Mlp, settings.Cnn, settings.Text, settings.Custom),
    "loss": (settings.CrossEntropy, settings.BinaryCrossEntropy, settings.MeanSquaredError),
    "optimizer": (settings.Sgd, settings.Adam),
    "schedule": (settings.Constant, settings.Cosine, settings.WarmupLinear),
}
SINGLE: dict[str, type] = {
    "preprocess": settings.Preprocess,
    "spectrogram": settings.Spectrogram,
    "vocabulary": settings.Vocabulary,
    "precision": settings.Precision,
    "train": settings.Train,
    "augment": settings.Augment,
    "evaluate": settings.Evaluate,
    "profile": settings.Profile,
    "diagnose": settings.Diagnose,
    "device": settings.Device,
    "price": settings.Price,
    "pruning": settings.Pruning,
    "tracking": settings.Tracking,
    "ui": settings.Ui,
    "search": settings.Search,
}


@cache
def register() -> None:
    """Store `schema`, `schema/<group>` and, for groups with several kinds, `schema/<group>/<option>`."""
    store = ConfigStore.instance()
    store.store(name="schema", node=settings.Settings)
    store.store(group="schema", name="claim", node=settings.Claim)
    for group, kinds in KINDS.items():
        for kind in kinds:
            store.store(group=f"schema/{group}", name=settings.option_name(kind), node=kind)
    for group, kind in SINGLE.items():
        store.store(group="schema", name=group, node=kind)
