"""How well somebody who may ask a model can tell the rows that it was trained on from others.

Members are rows of training, others those of the test split, as many of each. `threshold`: a row with a small
loss was probably trained on (Yeom et al. 2018, arXiv 1709.01604). `lira`: each row is compared with how
shadow models answer that were trained with it and without it (Carlini et al. 2022, arXiv 2112.03570). Both
are lower bounds of what is possible; a private training (`privacy=dp_sgd`) bounds it from above.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pipeline.data.prepared import Prepared, Split
from pipeline.evaluation.intervals import Figure, compute_area, compute_share
from pipeline.formatting import format_count
from pipeline.models.scores import LEAST_OUTPUT, compute_share_below
from pipeline.settings.measuring import Membership
from pipeline.settings.model import Output
from pipeline.settings.settings import Settings

MOST_ROWS = 5000
"""Members, and others, that are attacked; more are drawn from."""
FALSE_ALARMS = 0.01
"""Share of the others that may be taken for members, at which the share of found members is told."""
DRAWS = 400
"""Bootstrap samples behind an interval."""
SEED = 0
LEAST_DEVIATION = 1e-3
"""Of scores: shadows that all agree say little."""

Predict = Callable[[Any], np.ndarray]


@dataclass(frozen=True, slots=True)
class Attack:
    """How well one attack told `members` rows of training from `others`.

    `auc`: area under the ROC curve, 0.5 is guessing; `tpr`: share of the members found where 1 % of the
    others are taken for members, 0.01 is guessing; of fewer than 100 others, where none is. The interval of
    the area is that of Newcombe 2006 (method 5, doi 10.1002/sim.2324), that of the share by bootstrap over
    the rows, and no narrower than Wilson's: where an attack tells all rows apart, no draw is otherwise.
    """

    name: str
    auc: Figure
    tpr: Figure
    members: int
    others: int

    def describe(self) -> str:
        """Return it in a line."""
        alarms, guessed = "1% false alarms", FALSE_ALARMS
        if self.others * FALSE_ALARMS < 1:
            alarms = f"no false alarm among {format_count(self.others, 'other row')}"
            guessed = 1 / (self.others + 1)  # the chance to be above all of them
        return (
            f"{self.name} attack: AUC {self.auc.describe(3)}, finds {self.tpr.describe(3)} of the training "
            f"rows at {alarms}; 0.5 and {guessed:.2g} are guessing"
        )


def attack_membership(predict: Predict, prepared: Prepared, settings: Settings) -> tuple[Attack, ...]:
    """Attack a model of classes as `evaluate.membership` says; `lira` comes with `threshold`.

    `predict`: n samples -> probabilities float32 [n, classes].
    """
    asked = settings.evaluate.membership
    if asked is Membership.none:
        return ()
    rows = _choose_rows(len(prepared.train), len(prepared.test))
    scores = [
        compute_scores(predict(_take(split, chosen).samples), np.asarray(split.labels)[chosen])
        for split, chosen in zip((prepared.train, prepared.test), rows, strict=True)
    ]
    attacks = [judge_attack("threshold", *scores)]
    if asked is Membership.lira:
        attacks.append(judge_attack("lira", *_compare_with_shadows(scores, rows, prepared, settings)))
    return tuple(attacks)


def _choose_rows(members: int, others: int) -> tuple[np.ndarray, np.ndarray]:
    """Choose as many rows of training as of the test split, at most `MOST_ROWS`."""
    draw, count = np.random.default_rng(SEED), min(members, others, MOST_ROWS)
    return tuple(np.sort(draw.choice(each, count, replace=False)) for each in (members, others))  # type: ignore[return-value]


def _take(split: Split, rows: np.ndarray) -> Split:
    raw: Any = None if split.raw is None else split.raw[rows]  # a batch, which a model answers as well
    return Split(np.asarray(split.features)[rows], np.asarray(split.labels)[rows], raw)


def compute_scores(outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Compute how sure a model is of the right class, float64 [n]: log(p / (1 - p)).

    Its order is that of the loss of the row, and over models it is about normal (Carlini et al. 2022).
    """
    others, rows = outputs.astype(np.float64), np.arange(len(labels))
    right = others[rows, labels]
    others[rows, labels] = 0  # 1 - p would be 0 of many sure answers, which the others still tell apart
    right, wrong = (np.log(np.maximum(shares, LEAST_OUTPUT)) for shares in (right, others.sum(axis=1)))
    return np.asarray(right - wrong)


# ---- shadow models ------------------------------------------------------------------------------------


def _compare_with_shadows(
    scores: list[np.ndarray], rows: tuple[np.ndarray, np.ndarray], prepared: Prepared, settings: Settings
) -> list[np.ndarray]:
    """Compute the log ratio of the likelihoods of each row's score: trained on it, or not."""
    attacked = Split(*_join(_take(prepared.train, rows[0]), _take(prepared.test, rows[1])))
    answers, inside = train_shadows(attacked, prepared, settings)
    ratios = compute_ratios(np.concatenate(scores), answers, inside)
    return [ratios[: len(rows[0])], ratios[len(rows[0]) :]]


def _join(*splits: Split) -> tuple[np.ndarray, np.ndarray]:
    features, labels = zip(*((split.features, split.labels) for split in splits), strict=True)
    return np.concatenate(features), np.concatenate(labels)


def train_shadows(pool: Split, prepared: Prepared, settings: Settings) -> tuple[np.ndarray, np.ndarray]:
    """Train shadow models, each on half of `pool`; return their scores and who saw which row, [shadows, n].

    They come in pairs that share the rows out, so half of them have seen a row. Seeds differ from the
    model's.
    """
    from pipeline.training.train import train

    settings = _fix_noise(settings, len(prepared.train))
    draw, shadows, rows = np.random.default_rng(SEED), settings.evaluate.shadows, len(pool)
    inside, answers = np.zeros((shadows, rows), bool), []
    for number in range(shadows):
        chosen = draw.permutation(rows) < rows // 2
        inside[number] = ~inside[number - 1] if number % 2 else chosen
        shadow = _set_up_shadow(settings, number, int(inside[number].sum()))
        data = replace(
            prepared, train=_take(pool, np.flatnonzero(inside[number])), key=f"{prepared.key}-{number}"
        )
        *_, trained = train(data, shadow)
        answers.append(compute_scores(_answer(trained, pool), np.asarray(pool.labels)))
    return np.stack(answers), inside


def _fix_noise(settings: Settings, rows: int) -> Settings:
    """Return settings with the noise of a private training on `rows` rows, not one solved for fewer."""
    from pipeline.training.privacy.account import open_account

    account = open_account(settings, rows)
    if account is None:
        return settings
    return replace(settings, privacy=replace(settings.privacy, noise_multiplier=account.noise, epsilon=None))


def _set_up_shadow(settings: Settings, number: int, rows: int) -> Settings:
    """Return the settings of a shadow: another seed, each row as often as the model has seen it."""
    train = replace(
        settings.train,
        seed=(settings.train.seed + 7919 * (number + 1)) % 2**31,
        batch_size=min(settings.train.batch_size, rows),
    )
    return replace(settings, train=train)


def _answer(trained: Any, pool: Split) -> np.ndarray:
    """Return the probabilities of a shadow for features, [n, classes]."""
    from pipeline.models import keras_models
    from pipeline.models.predictor import make_predictor
    from pipeline.training.losses import to_probabilities

    network = keras_models.build_network(trained.settings, trained.data, trained.get_weights())
    output = getattr(trained.settings.model, "output", Output.softmax)
    return np.asarray(to_probabilities(output, make_predictor(network)(pool.features)))


def compute_ratios(scores: np.ndarray, answers: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Compute log N(score; in) - log N(score; out) of each row, [n].

    `answers`: of shadows, [shadows, n]; `inside`: which of them have seen the row. Few shadows tell means, so
    the deviations are those of all rows together (Carlini et al. 2022, section VI-B).
    """
    total = np.zeros(len(scores))
    for side, sign in ((inside, 1), (~inside, -1)):
        means = np.where(side, answers, 0).sum(0) / side.sum(0)
        spread = np.square(answers - means)[side].sum() / max(1, side.sum() - len(scores))
        deviation = max(float(np.sqrt(spread)), LEAST_DEVIATION)
        total += sign * (-0.5 * np.square((scores - means) / deviation) - np.log(deviation))
    return total


# ---- how well an attack did ---------------------------------------------------------------------------


def judge_attack(name: str, members: np.ndarray, others: np.ndarray) -> Attack:
    """Judge scores, the higher the more likely a member: AUC and share of found members, with intervals."""
    draw = np.random.default_rng(SEED)
    drawn = [
        compute_tpr(*(draw.choice(scores, len(scores)) for scores in (members, others))) for _ in range(DRAWS)
    ]
    low, high = np.percentile(drawn, [2.5, 97.5])
    tpr = compute_share(compute_tpr(members, others), len(members))
    tpr = Figure(tpr.value, min(tpr.low, float(low)), max(tpr.high, float(high)))
    auc = compute_area(compute_auc(members, others), len(members), len(others))
    return Attack(name, auc, tpr, len(members), len(others))


def compute_auc(members: np.ndarray, others: np.ndarray) -> float:
    """Compute the chance that a member scores higher than another row, ties counting half."""
    return float(compute_share_below(members, others).mean())


def compute_tpr(members: np.ndarray, others: np.ndarray) -> float:
    """Compute the share of members above the score that at most 1 % of the other rows pass."""
    bar = np.sort(others)[::-1][int(FALSE_ALARMS * len(others))]
    return float((members > bar).mean())
