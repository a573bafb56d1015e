"""Whether training hides what single rows were in it, and how well (conf/privacy)."""

from dataclasses import dataclass
from enum import StrEnum

from pipeline.errors import BadSetting
from pipeline.settings.rules import require

DEFAULT_NOISE = 1.0
"""Noise multiplier where neither it nor an epsilon is asked for."""
FROM_SEED, FROM_SECRET = "drawn from train.seed", "drawn from a secret"
"""How the rows and the noise of a training came about, as its line on privacy ends."""


class PrivacyKind(StrEnum):
    """How training is private: not at all, or by DP-SGD."""

    none = "none"
    dp_sgd = "dp_sgd"


@dataclass(slots=True, kw_only=True)
class Privacy:
    """Differential privacy of the training rows by DP-SGD (Abadi et al. 2016, doi 10.1145/2976749.2978318).

    `clip_norm`: largest L2 norm of one row's gradient; `noise_multiplier`: deviation of the noise on their
    sum, in clip norms, None: solved for `epsilon`, or `DEFAULT_NOISE`; `epsilon`: what all epochs may spend;
    `repeatable`: whether rows and noise come from `train.seed`.
    """

    kind: PrivacyKind
    clip_norm: float
    noise_multiplier: float | None
    epsilon: float | None
    delta: float
    repeatable: bool

    def __post_init__(self) -> None:
        noise, epsilon = self.noise_multiplier, self.epsilon
        require(0 < self.clip_norm <= 1e6, "privacy.clip_norm", "> 0 and <= 1000000", self.clip_norm)
        valid = noise is None or 0.01 <= noise <= 1e4
        require(valid, "privacy.noise_multiplier", ">= 0.01 and <= 10000, or null", noise)
        valid = epsilon is None or 0.01 <= epsilon <= 1000
        require(valid, "privacy.epsilon", ">= 0.01 and <= 1000, or null", epsilon)
        require(0 < self.delta <= 0.1, "privacy.delta", "> 0 and <= 0.1", self.delta)
        if self.is_private and noise is not None and epsilon is not None:
            raise BadSetting(
                f"privacy.epsilon must be null with privacy.noise_multiplier={noise:g}, got {epsilon:g}; "
                "leave one of them out: either the noise is told, or what all epochs may spend"
            )

    @property
    def is_private(self) -> bool:
        """Return whether the rows of training are protected."""
        return self.kind is not PrivacyKind.none

    @property
    def is_secret(self) -> bool:
        """Return whether rows and noise come from a secret: steps that are taken anew are other steps."""
        return self.is_private and not self.repeatable

    @property
    def depends_on_epochs(self) -> bool:
        """Return whether the noise is solved for all epochs, so that no epoch is a shorter training."""
        return self.is_private and self.epsilon is not None


def check_privacy(privacy: Privacy, *, engine: str, policy: str, devices: int, start: str | None) -> None:
    """Check that the other settings let every step be accounted for.

    `policy`: of the precision; `devices`: that share a batch; `start`: the word that names a model to begin
    with, if one does.

    Raises:
        BadSetting: the first that does not.
    """
    if not privacy.is_private:
        return
    rule = "with privacy=dp_sgd"
    require(
        engine != "keras",
        "engine",
        f"auto, graph or xla {rule} (the loop of Keras has no gradients of single rows)",
        engine,
    )
    require(
        policy in ("float32", "float64"),
        "precision",
        f"float32 or float64 {rule} (in halves a sum of clipped gradients is rounded beyond the clip norm)",
        policy,
    )
    require(devices == 1, "device.count", f"1 {rule}", devices)
    if start is not None:
        raise BadSetting(
            f"{start.partition('=')[0]} must be null {rule}, got {start.partition('=')[2]}; start "
            "afresh: what the steps behind those weights have told of the rows is in nobody's account"
        )


def check_asked(privacy: Privacy) -> None:
    """Check before a training that it is private where somebody asks for so much privacy.

    Models of earlier runs are still read, whatever was asked for.

    Raises:
        BadSetting: nothing would be protected.
    """
    asked = {"epsilon": privacy.epsilon, "noise_multiplier": privacy.noise_multiplier}
    for name, value in asked.items():
        if value is not None and not privacy.is_private:
            raise BadSetting(
                f"privacy.{name} must be null with privacy=none, got {value:g}: nothing would be protected; "
                "add privacy=dp_sgd, or leave it out"
            )
