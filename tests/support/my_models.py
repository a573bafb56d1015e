"""Networks as a user would write them, good and bad."""
# ruff: noqa: ARG001

import keras


def build(shape, classes, settings):
    """The README's example."""
    return keras.Sequential(
        [
            keras.Input(shape),
            keras.layers.Flatten(),
            keras.layers.Dense(settings.model.hidden, "gelu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(classes),
        ]
    )


def fails(shape, classes, settings):
    raise ValueError("not today\nnor tomorrow")


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


NUMBER = 7
