"""Fronts as Keras layers: fitted on the training split, run over all splits once, saved with the model.

Only layers that come with Keras, so that a saved model loads anywhere.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from pipeline.backend import Tensor, keras, tf
from pipeline.data.features import Columns, Counts, Form, Front, LogMel, Sound, Tokens, Words
from pipeline.data.samples import Batch, Raw, Table, Texts, measure_width, split_into_portions
from pipeline.errors import BadData, BadSetting
from pipeline.settings.model import Text
from pipeline.settings.preprocess import Form as TextForm
from pipeline.settings.preprocess import Spectrogram, Vocabulary
from pipeline.settings.settings import Settings

TEXTS_AT_ONCE = 512
LARGEST_COUNT = 255
"""Counts are kept as bytes."""


# ---- fitting ----------------------------------------------------------------------------------------------


def fit(form: Form, train: Raw, settings: Settings) -> Front:
    """The front for samples of this form, from the training split alone.

    Raises:
        BadData: the training texts have no words.
        BadSetting: the spectrogram's settings do not fit the sampling rate.
    """
    match form, train:
        case Sound(rate), np.ndarray():
            return log_mel(settings.spectrogram, rate, train.shape[1])
        case Words(), Texts() if wants_tokens(settings):
            words = _vocabulary(settings.vocabulary, train, ngrams=None)
            return Tokens(words, settings.vocabulary.length)
        case Words(), Texts():
            return _counts(settings.vocabulary, train)
        case _, Table():
            return _columns(train)
        case _:
            raise NotImplementedError(type(form).__name__)


def wants_tokens(settings: Settings) -> bool:
    """Whether texts become words in their order, and not weighed n-grams."""
    if settings.vocabulary.form is TextForm.auto:
        return isinstance(settings.model, Text)
    return settings.vocabulary.form is TextForm.tokens


def log_mel(told: Spectrogram, rate: int, samples: int) -> LogMel:
    """The spectrogram of `samples` at `rate` a second; windows are padded to twice the next power of two.

    Raises:
        BadSetting: a band lies above half the rate, or a window is longer than the sound.
    """
    high = rate / 2 if told.high_hz is None else told.high_hz
    if not told.low_hz < high <= rate / 2:
        raise BadSetting(
            f"spectrogram.high_hz must be > spectrogram.low_hz ({told.low_hz:g}) and <= {rate / 2:g} "
            f"(half of {rate} samples a second), got {high:g}; set it or null"
        )
    window, hop = (max(1, round(rate * ms / 1000)) for ms in (told.window_ms, told.hop_ms))
    fft = 2 << max(2, (window - 1).bit_length())
    if fft // 2 >= samples:
        raise BadSetting(
            f"spectrogram.window_ms must be shorter than half the sound ({500 * samples / rate:g} ms), "
            f"got {told.window_ms:g}; set it, or data.seconds"
        )
    return LogMel(rate, samples, window, hop, fft, told.mels, told.low_hz, high, told.floor_db)


def _counts(told: Vocabulary, train: Texts) -> Counts:
    vocabulary = _vocabulary(told, train, told.ngrams)
    plain = Counts(vocabulary, (), told.ngrams)
    with_it = sum((features > 0).sum(axis=0) for features in apply(plain, train))
    idf = np.log(1 + len(train) / (1 + np.asarray(with_it, np.float64)))
    idf[0] = idf[1:].mean()  # Keras', too: any other n-gram counts as an average one
    return Counts(vocabulary, tuple(float(each) for each in idf), told.ngrams)


def _vocabulary(told: Vocabulary, train: Texts, ngrams: int | None) -> tuple[str, ...]:
    """The most frequent n-grams, most frequent first."""
    layer = keras.layers.TextVectorization(told.size + 2, ngrams=ngrams)  # two places are Keras' own
    layer.adapt(tf.constant(list(train[part]), tf.string) for part in _texts_at_once(len(train)))
    found = tuple(str(each) for each in layer.get_vocabulary(include_special_tokens=False))
    if not found:
        raise BadData("the training texts must hold words, got none; look at the files")
    return found


def _texts_at_once(rows: int) -> Iterator[slice]:
    return (slice(at, min(at + TEXTS_AT_ONCE, rows)) for at in range(0, rows, TEXTS_AT_ONCE))


def _columns(train: Table) -> Columns:
    medians = [_median(train.numbers[:, at]) for at in range(len(train.numeric))]
    categories = tuple(_seen(texts) for texts in train.words)
    return Columns(train.numeric, tuple(medians), train.categorical, categories)


def _median(column: np.ndarray) -> float:
    known = np.asarray(column)[np.isfinite(column)]
    return float(np.median(known)) if len(known) else 0.0


def _seen(texts: Texts) -> tuple[str, ...]:
    found = {str(text) for part in split_into_portions(len(texts), 64) for text in texts[part]}
    return tuple(sorted(found - {""}))


# ---- layers -----------------------------------------------------------------------------------------------


def inputs_of(front: Front | None, shape: tuple[int, ...]) -> Any:
    """Keras inputs for what a user can send; `shape`: of the features, where there is no front."""
    match front:
        case None:
            return keras.Input(shape, dtype="float32", name="samples")
        case LogMel():
            return keras.Input((None,), dtype="float32", name="samples")
        case Columns():
            kinds = dict.fromkeys(front.numeric, "float32") | dict.fromkeys(front.categorical, "string")
            return {name: keras.Input((), dtype=kind, name=name) for name, kind in kinds.items()}
        case _:
            return keras.Input((), dtype="string", name="samples")


def features_of(front: Front | None, inputs: Any) -> Any:
    """The features as Keras tensors."""
    match front:
        case None:
            return inputs
        case LogMel():
            return _mel_features(front, inputs)
        case Counts():
            layer = keras.layers.TextVectorization(
                len(front.vocabulary) + 1,
                ngrams=front.ngrams,
                output_mode="count",
                vocabulary=list(front.vocabulary),
                name="ngrams",
            )
            return keras.ops.minimum(layer(inputs), LARGEST_COUNT)
        case Tokens():
            layer = keras.layers.TextVectorization(
                len(front.vocabulary) + 2,
                output_sequence_length=front.length,
                vocabulary=list(front.vocabulary),
                name="tokens",
            )
            return layer(inputs)
        case Columns():
            return _column_features(front, inputs)


def _mel_features(front: LogMel, waves: Any) -> Any:
    """Full scale is 0 dB: a sine of amplitude 1 under a Hann window has the magnitude window / 4."""
    full = (front.window / 4) ** 2
    padded = keras.ops.pad(waves, [[0, 0], [0, front.samples]])
    cut = keras.layers.Reshape((front.samples,), dtype="float32")(padded[:, : front.samples])
    layer = keras.layers.MelSpectrogram(
        fft_length=front.fft,
        sequence_stride=front.hop,
        sequence_length=front.window,
        sampling_rate=front.rate,
        num_mel_bins=front.mels,
        min_freq=front.low_hz,
        max_freq=front.high_hz,
        top_db=1e6,  # Keras' own would be found over a whole batch
        min_power=full * 10 ** (front.floor_db / 10),
        ref_power=full,
        dtype="float32",
        name="log_mel",
    )
    return layer(keras.layers.Rescaling(1 / 2**15, dtype="float32")(cut))


def _column_features(front: Columns, inputs: dict[str, Any]) -> Any:
    parts = []
    for name, median in zip(front.numeric, front.medians, strict=True):
        number = keras.ops.where(keras.ops.isfinite(inputs[name]), inputs[name], median)
        parts.append(keras.ops.expand_dims(number, -1))
    for at, (name, words) in enumerate(zip(front.categorical, front.categories, strict=True)):
        lookup = keras.layers.StringLookup(
            vocabulary=list(words) or [""], output_mode="one_hot", name=f"category_{at}"
        )
        parts.append(lookup(inputs[name]))
    return keras.ops.concatenate(parts, -1) if len(parts) > 1 else parts[0]


# ---- running ----------------------------------------------------------------------------------------------


def apply(front: Front, samples: Raw) -> Iterator[np.ndarray]:
    """Features of all samples, in portions of rows: uint8 of counts, int32 of tokens, else float32."""
    inputs = inputs_of(front, ())
    model = keras.Model(inputs, features_of(front, inputs))
    kind = {Counts: np.uint8, Tokens: np.int32}.get(type(front), np.float32)
    specs = keras.tree.map_structure(lambda each: tf.TensorSpec(each.shape, each.dtype), inputs)
    compute = tf.function(lambda batch: model(batch, training=False)).get_concrete_function(specs)
    width = max(measure_width(samples), int(np.prod(model.output.shape[1:])))
    for part in split_into_portions(len(samples), width):
        yield compute(as_tensors(samples[part])).numpy().astype(kind)


def as_tensors(batch: Batch) -> Tensor:
    """For a Keras model: numbers float32, texts as strings."""
    if isinstance(batch, dict):
        return {name: as_tensors(column) for name, column in batch.items()}
    if batch.dtype == object:
        return tf.constant(batch, tf.string)
    return tf.constant(batch, tf.float32)


def shape_of(front: Front) -> tuple[int, ...]:
    """Of one sample's features."""
    inputs = inputs_of(front, ())
    return tuple(int(side) for side in features_of(front, inputs).shape[1:])
