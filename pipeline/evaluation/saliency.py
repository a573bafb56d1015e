"""Which parts of a sample an answer comes from: saliency of the surest mistakes on the test split.

What is explained is by how much the answer leads before the true class: the difference of their logits.

- Images and spectrograms: integrated gradients (Sundararajan et al. 2017, arXiv 1703.01365) from what the
  network sees as zero: the mean that scaling took from the training split, of all features together or of
  each. The parts add up to the lead, less what the network makes of that.
- Texts: by how much the lead falls where a word is left out (occlusion, as Li et al. 2016, arXiv
  1612.08220); of texts that are taken letter by letter, a letter.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.backend import Tensor, tf
from pipeline.data.features import CHARACTER, Columns, Counts, Tokens
from pipeline.data.prepared import Prepared
from pipeline.data.samples import Texts
from pipeline.errors import BadData
from pipeline.evaluation.output_scores import Mistake
from pipeline.models.attacks.attack import find_network
from pipeline.models.scores import LEAST_OUTPUT

STEPS = 48
"""Points on the way to the sample."""
MAX_WORDS = 200
"""Of a text, from its beginning."""
SALIENCY_KEY = "evaluate.saliency"


@dataclass(frozen=True, slots=True)
class Saliency:
    """Why a row was taken for another class: what is above 0 speaks for the answer, below 0 for the true
    class.

    `weights`: of each pixel [height, width], or of each of `words`; `mistake`: row, classes, confidence.
    """

    mistake: Mistake
    weights: np.ndarray
    words: tuple[str, ...] = ()


def check_saliency(prepared: Prepared, count: int) -> None:
    """Check before anything runs that answers to these samples can be explained.

    Raises:
        BadData: they are neither images nor sounds nor texts.
    """
    of_words = isinstance(prepared.front, Counts | Tokens)
    drawn = len(prepared.shape) in (2, 3) and not isinstance(prepared.front, Columns)
    if count and not (of_words or drawn):
        raise BadData(
            f"{SALIENCY_KEY} must be 0 unless samples are images, sounds or texts, got {count} with samples "
            f"of shape {list(prepared.shape)}; set {SALIENCY_KEY}=0"
        )


def explain_mistakes(
    model: Any,
    predict: Callable[[np.ndarray], np.ndarray],
    prepared: Prepared,
    mistakes: tuple[Mistake, ...],
) -> tuple[Saliency, ...]:
    """Explain mistakes on the test split. `model`: a saved Keras model; `predict`: raw samples -> outputs.

    Raises:
        BadModel: the model was not made by this program.
    """
    if not mistakes:
        return ()
    if isinstance(prepared.front, Counts | Tokens):
        letters = prepared.front.split == CHARACTER
        return tuple(_explain_text(predict, prepared, mistake, letters) for mistake in mistakes)
    rows = [mistake.row for mistake in mistakes]
    samples = np.stack([np.asarray(prepared.test.features[row], np.float32) for row in rows])
    answers, labels = (
        np.array([prepared.classes.index(name) for name in names], np.int32)
        for names in zip(*((mistake.predicted, mistake.true) for mistake in mistakes), strict=True)
    )
    parts = integrate_gradients(find_network(model), samples, prepared.scaling.mean, answers, labels)
    maps = parts.sum(axis=3) if parts.ndim == 4 else parts
    return tuple(Saliency(mistake, weights) for mistake, weights in zip(mistakes, maps, strict=True))


def integrate_gradients(
    network: Any, samples: np.ndarray, start: np.ndarray, answers: np.ndarray, labels: np.ndarray
) -> np.ndarray:
    """Return the part of each feature in the lead of `answers` [n] before `labels` [n], float32 [n, *shape].

    `network`: features float32 [n, *shape] -> logits [n, classes]; `start`: where the way begins, () or
    [*shape].
    """

    def compute_gradient(points: Tensor) -> Tensor:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(points)
            logits = network(points, training=False)
            lead = tf.gather(logits, answers, batch_dims=1) - tf.gather(logits, labels, batch_dims=1)
        return tf.convert_to_tensor(tape.gradient(lead, points))

    spec = tf.TensorSpec(samples.shape, tf.float32)
    differentiate = tf.function(compute_gradient, autograph=False).get_concrete_function(spec)
    way = samples - np.asarray(start, np.float32)
    total = np.zeros_like(samples, np.float64)
    for step in range(STEPS):
        share = np.float32((step + 0.5) / STEPS)
        total += differentiate(tf.constant(samples - (1 - share) * way)).numpy()
    return (way * total / STEPS).astype(np.float32)


def _explain_text(
    predict: Callable[[np.ndarray], np.ndarray], prepared: Prepared, mistake: Mistake, letters: bool
) -> Saliency:
    texts = prepared.test.samples
    assert isinstance(texts, Texts)
    (text,) = texts[np.array([mistake.row])]
    words = list(text) if letters else text.split()
    between = "" if letters else " "
    shown = words[:MAX_WORDS]
    shortened = [between.join(words[:at] + words[at + 1 :]) for at in range(len(shown))]
    outputs = np.log(np.maximum(predict(np.array([text, *shortened], object)), LEAST_OUTPUT))
    answer, label = (prepared.classes.index(name) for name in (mistake.predicted, mistake.true))
    leads = outputs[:, answer] - outputs[:, label]
    return Saliency(mistake, (leads[0] - leads[1:]).astype(np.float32), tuple(shown))
