"""Networks as a user would write them, good and bad."""
# ruff: noqa: ARG001

import keras


def build(shape, classes, settings):
    """The example of docs/how-to/kinds-of-data.md."""
    return keras.Sequential(
        [
            keras.Input(shape),
            keras.layers.Flatten(),
            keras.layers.Dense(settings.model.hidden, "gelu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(classes),
        ]
    )


def rich(shape, classes, settings):
    """State, masks, a penalty and a constraint."""
    inputs = keras.Input(shape)
    tensor = keras.layers.Flatten()(inputs)
    tensor = keras.layers.Dense(
        6,
        "tanh",
        kernel_regularizer=keras.regularizers.L2(0.01),
        kernel_constraint=keras.constraints.MaxNorm(0.9),
    )(tensor)
    tensor = keras.layers.BatchNormalization(momentum=0.8)(tensor)
    tensor = keras.layers.Dropout(0.3, seed=settings.train.seed)(tensor)
    return keras.Model(inputs, keras.layers.Dense(classes)(tensor))


def noisy(shape, classes, settings):
    """A layer that draws from Keras' own generator."""
    noise = keras.layers.GaussianNoise(0.5, seed=settings.train.seed)
    return keras.Sequential([keras.Input(shape), keras.layers.Flatten(), noise, keras.layers.Dense(classes)])


def normalized(shape, classes, settings):
    """Statistics of a batch behind convolutions; a bias before them would move by rounding alone."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input(shape),
            layers.Reshape((*shape, 1)),
            layers.Conv2D(3, 3, padding="same", use_bias=False),
            layers.BatchNormalization(momentum=0.8),
            layers.ReLU(),
            layers.DepthwiseConv2D(3, strides=2, use_bias=False),
            layers.BatchNormalization(scale=False),
            layers.GlobalAveragePooling2D(),
            layers.Dense(classes),
        ]
    )


class Doubled(keras.layers.Layer):
    """A layer whose code no configuration tells."""

    def call(self, inputs):
        return 2 * inputs


def own_layer(shape, classes, settings):
    return keras.Sequential(
        [keras.Input(shape), keras.layers.Flatten(), Doubled(), keras.layers.Dense(classes)]
    )


def fails(shape, classes, settings):
    raise ValueError("not today\nnor tomorrow")


def leaves(shape, classes, settings):
    raise SystemExit("not with me")


def nothing(shape, classes, settings):
    return None


def with_softmax(shape, classes, settings):
    model = build(shape, classes, settings)
    model.add(keras.layers.Softmax())
    return model


def too_few(shape, classes, settings):
    return keras.Sequential([keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(classes - 1)])


def other_shape(shape, classes, settings):
    return keras.Sequential([keras.Input((7, 7)), keras.layers.Flatten(), keras.layers.Dense(classes)])


class OwnClass(keras.Model):
    def __init__(self, classes):
        super().__init__()
        self.last = keras.layers.Dense(classes)

    def call(self, inputs):
        return self.last(keras.ops.reshape(inputs, (len(inputs), -1)))


def own_class(shape, classes, settings):
    return OwnClass(classes)


NUMBER = 7
