"""What a layer assigns while it computes, as it is in Keras' own loop: a number, and no formula."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pipeline.backend import keras, tf


@contextmanager
def stop_gradients_of_assigned() -> Iterator[None]:
    """Let no gradient go back through a variable that a layer has assigned and then reads.

    A step that has no side effects hands over the tensor that was assigned, and the tape would go on to what
    it was computed from, as in a layer that moves an average by its inputs and subtracts it from them.
    """
    scope = keras.StatelessScope
    add_update = scope.add_update

    def add_number(self: Any, update: tuple[Any, Any]) -> None:
        variable, value = update
        add_update(self, (variable, tf.stop_gradient(value)))

    scope.add_update = add_number
    try:
        yield
    finally:
        scope.add_update = add_update
