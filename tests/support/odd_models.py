"""Networks of a user's own with parts that few have: each function is a `model.build`."""
# ruff: noqa: ARG001

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops


def stack(shape, *further):
    """Put layers behind the flat samples."""
    return keras.Sequential([keras.Input(shape), layers.Flatten(), *further])


def in_precision(name, shape, classes):
    """A layer and statistics whose weights are of one precision."""
    hidden = layers.Dense(16, "relu", dtype=name)
    norm = layers.BatchNormalization(momentum=0.8, dtype=name)
    inner = [layers.Reshape((-1, 4)), norm, layers.Flatten()]
    return stack(shape, hidden, *inner, layers.Dense(classes, dtype="float32"))


def bfloat16(shape, classes, settings):
    return in_precision("bfloat16", shape, classes)


def float16(shape, classes, settings):
    return in_precision("float16", shape, classes)


def float32(shape, classes, settings):
    return in_precision("float32", shape, classes)


def mixed_bfloat16(shape, classes, settings):
    return in_precision("mixed_bfloat16", shape, classes)


def share_of(rate):
    """Drop whole channels in a layer of the same name as one that drops single numbers."""

    def build(shape, classes, settings):
        channels = layers.SpatialDropout1D(rate, seed=1, name="drop")
        inner = keras.Sequential([layers.Reshape((-1, 2)), channels, layers.Flatten()])
        return stack(shape, layers.Dropout(0.3, seed=1, name="drop"), inner, layers.Dense(classes))

    return build


drops_few, drops_many = share_of(0.1), share_of(0.6)


def recurrent(shape, classes, settings):
    """Masks that are drawn in training and scoring alike."""
    return keras.Sequential([keras.Input(shape), layers.GRU(4, dropout=0.5, seed=1), layers.Dense(classes)])


class Cell(layers.Layer):
    """A step along a sequence, with a layer behind it that changes something."""

    def __init__(self, after, **more):
        super().__init__(**more)
        self.state_size = self.output_size = 4
        self.step, self.after = layers.Dense(4, "tanh"), after

    def build(self, input_shape):
        self.step.build((None, input_shape[-1] + 4))
        self.after.build((None, 4))
        self.built = True

    def call(self, inputs, states, training=False):
        hidden = self.after(self.step(ops.concatenate([inputs, states[0]], -1)), training=training)
        return hidden, [hidden]


def along(shape, classes, cell):
    return keras.Sequential([keras.Input(shape), layers.RNN(cell), layers.Dense(classes)])


def turning(shape, classes, settings):
    """Turn images as they are trained with, by an operation that XLA does not know."""
    turn = layers.RandomRotation(0.1, seed=1)
    return keras.Sequential(
        [keras.Input(shape), layers.Reshape((*shape, 1)), turn, layers.Flatten(), layers.Dense(classes)]
    )


def noise_in_a_cell(shape, classes, settings):
    return along(shape, classes, Cell(layers.GaussianNoise(0.5)))


def dropout_in_a_cell(shape, classes, settings):
    return along(shape, classes, Cell(layers.Dropout(0.5)))


def statistics_in_a_cell(shape, classes, settings):
    return along(shape, classes, Cell(layers.BatchNormalization()))


def stacked(shape, classes, settings):
    return along(shape, classes, [layers.GRUCell(4, dropout=0.5), layers.SimpleRNNCell(3)])


class Draws(layers.Layer):
    """Noise by no seed of its own."""

    def call(self, inputs, training=False):
        return inputs + keras.random.normal(ops.shape(inputs)) if training else inputs


def unseeded(shape, classes, settings):
    return stack(shape, Draws(), layers.Dense(4, "tanh"), Draws(), layers.Dense(classes))


class Centred(layers.Layer):
    """Moves an average by its inputs and takes it from them at once."""

    def build(self, shape):
        self.average = self.add_weight(shape=shape[1:], initializer="zeros", trainable=False)

    def call(self, inputs, training=False):
        if training:
            self.average.assign(0.5 * self.average + 0.5 * ops.mean(inputs, 0))
        return inputs - self.average


def centred(shape, classes, settings):
    return stack(shape, layers.Dense(8, "relu"), Centred(), layers.Dense(classes))


def penalized(shape, classes, settings):
    return stack(shape, layers.Dense(8, "relu", activity_regularizer="l2"), layers.Dense(classes))


class Tied(layers.Layer):
    """An embedding that is read as a whole, too."""

    def __init__(self, words, **more):
        super().__init__(**more)
        self.table = layers.Embedding(words, 4)

    def call(self, inputs):
        return ops.matmul(ops.mean(self.table(inputs), 1), ops.transpose(self.table.embeddings))


class OwnTable(layers.Layer):
    """Rows of a variable that is no embedding to Keras."""

    def build(self, _):
        self.table = self.add_weight(shape=(40, 4), initializer="uniform")

    def call(self, inputs):
        return ops.mean(ops.take(self.table, inputs, 0), 1)


def of_three_tables(shape, classes, settings):
    inputs = keras.Input(shape, dtype="int32")
    words = layers.GlobalMaxPooling1D()(layers.Embedding(40, 4)(inputs))
    parts = [Tied(40)(inputs), OwnTable()(inputs), words]
    return keras.Model(inputs, layers.Dense(classes)(layers.Concatenate()(parts)))


def spectral(shape, classes, settings):
    return stack(shape, layers.SpectralNormalization(layers.Dense(12, "relu")), layers.Dense(classes))


class Block(layers.Layer):
    """A layer that calls others, one of them twice."""

    def __init__(self, **more):
        super().__init__(**more)
        self.widen, self.mix = layers.Dense(8, "relu"), layers.Dense(8)

    def call(self, inputs):
        return self.mix(self.mix(self.widen(inputs)))


def in_blocks(shape, classes, settings):
    return stack(shape, Block(), layers.Dense(classes))


def along_any_length(shape, classes, settings):
    inputs = keras.Input((None, None))
    hidden = layers.Conv1D(4, 3)(layers.Reshape((-1, 1))(inputs))
    return keras.Model(inputs, layers.Dense(classes)(layers.GlobalMaxPooling1D()(hidden)))


def without_weights(shape, classes, settings):
    inputs = keras.Input(shape)
    return keras.Model(inputs, layers.Flatten()(inputs)[:, :classes])


def projecting(shape, classes, settings):
    """Random numbers that are no weight, from the generator of numpy that `set_random_seed` sets."""
    inputs = keras.Input(shape)
    matrix = np.random.normal(size=(int(np.prod(shape)), 16)).astype(np.float32)
    hidden = ops.tanh(ops.matmul(layers.Flatten()(inputs), matrix))
    return keras.Model(inputs, layers.Dense(classes)(hidden))


def projecting_anew(shape, classes, settings):
    """Random numbers that are no weight, from a generator that nobody can seed."""
    inputs = keras.Input(shape)
    matrix = np.random.default_rng().normal(size=(int(np.prod(shape)), 16)).astype(np.float32)
    return keras.Model(inputs, layers.Dense(classes)(ops.matmul(layers.Flatten()(inputs), matrix)))


def adapted(shape, classes, settings):
    """Scale by what was learnt from samples, which depends on a setting."""
    scaling = layers.Normalization()
    scaling.adapt(np.random.default_rng(0).normal(size=(50, int(np.prod(shape)))) * settings.model.hidden)
    return stack(shape, scaling, layers.Dense(classes))


def wide(shape, classes, settings):
    """A layer within a network within the network is the widest."""
    inputs = keras.Input(shape)
    inner = keras.Sequential([keras.Input((*shape, 1)), layers.Conv2D(64, 3, padding="same")])
    images = inner(layers.Reshape((*shape, 1))(inputs))
    return keras.Model(inputs, layers.Dense(classes)(layers.GlobalMaxPooling2D()(images)))


def give_name(name):
    """Return a network that is called as a layer of ours."""

    def build(shape, classes, settings):
        model = stack(shape, layers.Dense(classes))
        model.name = name
        return model

    return build


named_logits, named_scaling, named_samples = map(give_name, ("logits", "scaling", "samples"))
named_probabilities, named_prediction = map(give_name, ("probabilities", "prediction"))

ONCE = []


def the_same(shape, classes, settings):
    """Make it once, and return it ever after."""
    if not ONCE:
        ONCE.append(stack(shape, layers.Dense(classes)))
    return ONCE[0]


def inner_softmax(shape, classes, settings):
    inputs = keras.Input(shape)
    return keras.Model(inputs, stack(shape, layers.Dense(classes, "softmax"))(inputs))


def operation_softmax(shape, classes, settings):
    inputs = keras.Input(shape)
    return keras.Model(inputs, ops.softmax(layers.Dense(classes)(layers.Flatten()(inputs))))


def foreign_softmax(shape, classes, settings):
    return stack(shape, layers.Dense(classes, tf.nn.softmax), layers.Reshape((classes,)))


def listed(shape, classes, settings):
    inputs = keras.Input(shape)
    return keras.Model([inputs], [layers.Dense(classes)(layers.Flatten()(inputs))])


def under_a_name(shape, classes, settings):
    inputs = keras.Input(shape)
    return keras.Model(inputs, {"scores": layers.Dense(classes)(layers.Flatten()(inputs))})


def whole_numbers(shape, classes, settings):
    inputs = keras.Input(shape)
    return keras.Model(inputs, ops.cast(layers.Dense(classes)(layers.Flatten()(inputs)), "int32"))


class OwnStep(keras.Model):
    """A class that trains itself."""

    def train_step(self, data):
        raise NotImplementedError


def own_step(shape, classes, settings):
    inputs = keras.Input(shape)
    return OwnStep(inputs, layers.Dense(classes)(layers.Flatten()(inputs)))


class Timid(layers.Layer):
    """A layer that only answers."""

    def call(self, inputs, training=False):
        if training:
            raise ValueError("not in training")
        return inputs


def timid(shape, classes, settings):
    return stack(shape, Timid(), layers.Dense(classes))


def strict(shape, classes, settings):
    """A regularizer of matrices, on a kernel that is none."""
    kernels = layers.Conv1D(4, 3, kernel_regularizer="orthogonal_regularizer")
    return keras.Sequential([keras.Input(shape), kernels, layers.Flatten(), layers.Dense(classes)])


def with_lambda(shape, classes, settings):
    return stack(shape, layers.Lambda(lambda numbers: numbers * 2), layers.Dense(classes))


class Scaled(layers.Layer):
    """A layer whose configuration does not tell all."""

    def __init__(self, factor=1.0, **more):
        super().__init__(**more)
        self.factor = factor

    def call(self, inputs):
        return inputs * self.factor

    def get_config(self):
        return layers.Layer.get_config(self)


def forgetting(shape, classes, settings):
    return stack(shape, Scaled(3.0), layers.Dense(classes))


def local_class(shape, classes, settings):
    class Local(layers.Layer):
        def call(self, inputs):
            return inputs * 3

    return stack(shape, Local(), layers.Dense(classes))
