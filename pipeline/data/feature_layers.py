"""Front ends as Keras layers: fitted on the training split, run once over all splits, saved with the model.

Only layers that come with Keras, so that a saved model loads anywhere.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from pipeline.backend import Tensor, keras, tf
from pipeline.data.column_blocks import join_columns, make_block_features, make_block_inputs
from pipeline.data.column_layers import fit_columns, make_column_features, make_column_inputs
from pipeline.data.features import (
    Columns,
    Counts,
    FrontEnd,
    LogMel,
    SampleKind,
    SoundSamples,
    TableSamples,
    TextSamples,
    Tokens,
)
from pipeline.data.samples import Batch, RawSamples, Table, Texts, estimate_width, split_into_portions
from pipeline.data.text_layers import choose_text_split, fit_counts, fit_vocabulary, make_counts
from pipeline.errors import BadData, BadSetting
from pipeline.settings.preprocess import Form as TextForm
from pipeline.settings.preprocess import Spectrogram
from pipeline.settings.settings import Settings

FLOAT_PEAK = 2.0
"""Sounds of floats may pass full scale a little."""


# ---- fitting ----------------------------------------------------------------------------------------------


def fit_front_end(kind: SampleKind, train: RawSamples, settings: Settings) -> FrontEnd:
    """Fit the front end for samples of this kind on `train`, the training split alone.

    Raises:
        BadData: the training texts have no words.
        BadSetting: the spectrogram's settings do not fit the sampling rate.
    """
    match kind, train:
        case SoundSamples(rate), np.ndarray():
            return make_log_mel(settings.spectrogram, rate, train.shape[1])
        case TextSamples(), Texts() if uses_tokens(settings):
            split = choose_text_split(settings.vocabulary, train)
            words = fit_vocabulary(settings.vocabulary.size, train, None, split)
            if not words:
                raise BadData("the training texts must hold words, got none; look at the files")
            return Tokens(words, settings.vocabulary.length, split)
        case TextSamples(), Texts():
            return fit_counts(settings.vocabulary, train)
        case TableSamples(types), Table():
            return fit_columns(train, types, settings.vocabulary, settings.preprocess.pieces)
        case _:
            raise NotImplementedError(type(kind).__name__)


def uses_tokens(settings: Settings) -> bool:
    """Return whether texts become words in their order; otherwise they become weighted n-gram counts."""
    if settings.vocabulary.form is TextForm.auto:
        return settings.model.reads_tokens
    return settings.vocabulary.form is TextForm.tokens


def make_log_mel(settings: Spectrogram, rate: int, samples: int) -> LogMel:
    """Return the spectrogram of sounds of `samples` numbers at `rate` a second, with the settings' bands.

    Windows are padded with zeros to twice the next power of two.

    Raises:
        BadSetting: a band lies above half the rate, or a window is longer than the sound.
    """
    high = rate / 2 if settings.high_hz is None else settings.high_hz
    if not settings.low_hz < high <= rate / 2:
        raise BadSetting(
            f"spectrogram.high_hz must be > spectrogram.low_hz ({settings.low_hz:g}) and <= {rate / 2:g} "
            f"(half of {rate} samples a second), got {high:g}; set it or null"
        )
    window, hop = (max(1, round(rate * ms / 1000)) for ms in (settings.window_ms, settings.hop_ms))
    fft = 2 << max(2, (window - 1).bit_length())
    if fft // 2 >= samples:
        raise BadSetting(
            f"spectrogram.window_ms must be shorter than half the sound ({500 * samples / rate:g} ms), "
            f"got {settings.window_ms:g}; set it, or data.seconds"
        )
    return LogMel(
        rate=rate,
        samples=samples,
        window=window,
        hop=hop,
        fft=fft,
        mels=settings.mels,
        low_hz=settings.low_hz,
        high_hz=high,
        floor_db=settings.floor_db,
    )


# ---- layers -----------------------------------------------------------------------------------------------


def make_inputs(front: FrontEnd | None, shape: tuple[int, ...]) -> Any:
    """Return Keras inputs for raw samples: one tensor, or one for each column of a table, by name.

    `shape`: of one sample's features, used where there is no front end.
    """
    match front:
        case None:
            return keras.Input(shape, dtype="float32", name="samples")
        case LogMel():
            return keras.Input((None,), dtype="float32", name="samples")
        case Columns():
            return make_column_inputs(front)
        case _:
            return keras.Input((), dtype="string", name="samples")


def make_features(front: FrontEnd | None, inputs: Any) -> Any:
    """Return the features, a Keras tensor [n, *shape], that the front end makes of `inputs`."""
    match front:
        case None:
            return inputs
        case LogMel():
            return _make_mel_features(front, inputs)
        case Counts():
            return make_counts(front, inputs)
        case Tokens():
            layer = keras.layers.TextVectorization(
                len(front.vocabulary) + 2,
                output_sequence_length=front.length,
                split=front.split,
                vocabulary=list(front.vocabulary),
                name="tokens",
            )
            return layer(inputs)
        case Columns():
            return make_column_features(front, inputs)


def _make_mel_features(front: LogMel, waves: Any) -> Any:
    """Return decibels [n, mels, frames] of int16, or of floats in -1..1; a sine of full scale is 0 dB.

    A sine of amplitude 1 under a Hann window has the magnitude window / 4.
    """
    full_scale = (front.window / 4) ** 2
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
        top_db=1e6,  # Keras would take its own from the loudest sample of a batch
        min_power=full_scale * 10 ** (front.floor_db / 10),
        ref_power=full_scale,
        dtype="float32",
        name="log_mel",
    )
    return layer(cut * _choose_scale(cut))


def _choose_scale(waves: Any) -> Any:
    """Return what brings each waveform [n, samples] to -1..1, [n, 1]: 1 for floats in that range.

    Others have the range of int16. Whole numbers alone are integers, however small: silence is no sound.
    """
    is_float = keras.ops.any(waves != keras.ops.round(waves), axis=1, keepdims=True)
    is_small = keras.ops.max(keras.ops.absolute(waves), axis=1, keepdims=True) <= FLOAT_PEAK
    return keras.ops.where(keras.ops.logical_and(is_float, is_small), 1.0, 1 / 2**15)


# ---- running ----------------------------------------------------------------------------------------------


def make_feature_function(front: FrontEnd) -> Callable[[RawSamples], Iterator[np.ndarray]]:
    """Return what yields features [rows, *shape] of all samples, in portions of rows.

    They are uint8 for counts, int32 for tokens, else float32. The layers are made once.
    """
    if isinstance(front, Columns):
        inputs: Any = make_block_inputs(front)
        model = keras.Model(inputs, make_block_features(front, inputs))
    else:
        inputs = make_inputs(front, ())
        model = keras.Model(inputs, make_features(front, inputs))
    dtype = {Counts: np.uint8, Tokens: np.int32}.get(type(front), np.float32)
    specs = keras.tree.map_structure(lambda tensor: tf.TensorSpec(tensor.shape, tensor.dtype), inputs)
    compute = tf.function(lambda batch: model(batch, training=False)).get_concrete_function(specs)

    def compute_portions(samples: RawSamples) -> Iterator[np.ndarray]:
        width = max(estimate_width(samples), int(np.prod(model.output.shape[1:])))
        for rows in split_into_portions(len(samples), width):
            batch = samples[rows]
            if isinstance(front, Columns) and isinstance(batch, dict):
                batch = join_columns(front, batch)
            yield compute(convert_to_tensors(batch)).numpy().astype(dtype)

    return compute_portions


def convert_to_tensors(batch: Batch) -> Tensor:
    """Convert samples to what a Keras model takes: float32, strings, or a dict of columns (float64, str)."""
    if isinstance(batch, dict):
        return {
            name: tf.constant(column, tf.string if column.dtype == object else tf.float64)
            for name, column in batch.items()
        }
    if batch.dtype == object:
        return tf.constant(batch, tf.string)
    return tf.constant(batch, tf.float32)
