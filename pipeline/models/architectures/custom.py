"""A user's own network, by its dotted name: called, and checked before anything is trained with it."""

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from pipeline.backend import keras
from pipeline.data.prepared import Prepared
from pipeline.data.readers.loaded import hash_files
from pipeline.errors import BadModel
from pipeline.files import list_code_files
from pipeline.hardware.memory import is_out_of_memory
from pipeline.models.architectures import Architecture
from pipeline.models.layers import LOGITS, PREDICTION, PROBABILITIES, get_wide_type
from pipeline.processes.environment import find_modules_here
from pipeline.secrets import mask
from pipeline.settings.importing.namesakes import explain_hidden, explain_namesake
from pipeline.settings.importing.reachable_code import HERE, hash_functions
from pipeline.settings.model import Activation, Custom, Init, Mlp
from pipeline.settings.settings import Settings

STEPS = ("train_step", "compute_loss", "fit")
"""Methods of a Keras model by which it would be trained in another way than the settings say."""
NAMES_BEHIND = {LOGITS, PREDICTION, PROBABILITIES}
"""Of layers that come behind the user's network."""
RULE = "model.build must name a function of (shape, classes, settings) that returns a Keras model"


class CustomArchitecture(Architecture):
    """Whatever the user's function returns."""

    @staticmethod
    def build_logits(settings: Settings, prepared: Prepared, features: Any) -> Any:
        """Call the user's model on scaled features.

        Raises:
            BadModel: there is no such function, it fails, or what it returns does not fit.
        """
        custom, classes, shape = settings.model, prepared.outputs, tuple(features.shape[1:])
        assert isinstance(custom, Custom)
        model = _build_model(_import_function(custom.build), custom.build, shape, classes, settings)
        _check_class(model, custom.build)
        _check_input(model, custom.build, shape)
        _check_output(model, custom.build, classes)
        if model.name in {*_list_names_before(features), *NAMES_BEHIND}:
            model.name = f"{model.name}_network"  # the layers of a network have a name each
        if getattr(settings.optimizer, "sparse", False):
            _check_embedding(model, custom.build)
        (logits,) = keras.tree.flatten(model(features))  # as a list or under a name, where it gives it so
        return keras.layers.Activation("linear", dtype=get_wide_type(settings), name=LOGITS)(logits)

    @staticmethod
    def hash_code(model: Custom) -> str:
        """Hash the Python files of the package, or the one file, that the user's function lies in.

        Raises:
            BadModel: there is no such function.
        """
        function, module = _import_function(model.build), model.build.partition(":")[0]
        return hash_functions(function) if module == HERE else _hash_package(module.partition(".")[0])

    @staticmethod
    def shrink_to_one_unit(model: Custom) -> Mlp:
        """Return a perceptron of one unit: nobody knows how to make the user's network smaller."""
        return Mlp(
            hidden=1,
            layers=1,
            activation=Activation.relu,
            output=model.output,
            dropout=0.0,
            init=Init.glorot,
            pretrained=None,
        )


@cache
def _hash_package(name: str) -> str:
    """Hash the Python files of an imported top-level package or module, as they were when first asked for."""
    return hash_files(list_code_files(name))


def _import_function(name: str) -> Callable[..., Any]:
    module, _, function = name.partition(":")
    find_modules_here()
    if namesake := explain_namesake(module):
        raise BadModel(f"{RULE}, got {name}: {namesake}")
    try:
        function_object = getattr(import_module(module), function)
    except (Exception, SystemExit) as error:  # whatever importing a user's module raises
        remedy = explain_hidden(module) or "mend it, or the name"
        raise BadModel(f"{RULE}, got {name} ({format_error(error)}); {remedy}") from None
    if not callable(function_object):
        raise BadModel(f"{RULE}, got {name}, which is {type(function_object).__name__}; name a function")
    return function_object  # type: ignore[no-any-return]


def know_classes(build: str) -> AbstractContextManager[Any]:
    """Let Keras load what a user's function has made: classes at the top of any module, functions of its own.

    Without it a class has to be registered with Keras, and its module to be imported. Of classes of one name
    that nearest to the function counts: one that its module names, one beside it, any other.

    Raises:
        BadModel: there is no such function.
    """
    _import_function(build)
    module = sys.modules[build.partition(":")[0]]
    names = vars(module)
    functions = {name: value for name, value in names.items() if inspect.isfunction(value)}
    kinds = [kind for kind in _list_classes() if "<locals>" not in kind.__qualname__]
    classes = {kind.__name__: kind for kind in sorted(kinds, key=partial(_rate_nearness, module))}
    return keras.saving.custom_object_scope(functions | classes)  # type: ignore[no-any-return]


def _rate_nearness(module: ModuleType, kind: type) -> int:
    if vars(module).get(kind.__name__) is kind:
        return 2
    of_kind = sys.modules.get(kind.__module__)
    files = (getattr(source, "__file__", None) for source in (module, of_kind))
    folders = [Path(file).parent for file in files if file]
    package, of_package = (name.partition(".")[0] for name in (module.__name__, kind.__module__))
    return int(package == of_package or (len(folders) == 2 and folders[0] == folders[1]))


def _list_classes() -> Iterator[type]:
    """Yield the classes of parts of a network that are not of Keras, those that were made last at the end."""
    kinds = keras.Layer, keras.Initializer, keras.Regularizer, keras.constraints.Constraint
    waiting = [kind for part in kinds for kind in part.__subclasses__()]
    while waiting:
        kind = waiting.pop(0)
        waiting += kind.__subclasses__()
        if kind.__module__.partition(".")[0] != "keras":
            yield kind


def _build_model(
    function: Callable[..., Any], name: str, shape: tuple[int, ...], classes: int, settings: Settings
) -> Any:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(settings.precision.policy.value)
    # It is built anew to be trained, scored and saved: what it draws as no weight must be the same each time.
    keras.utils.set_random_seed(settings.train.seed)
    try:
        model = function(shape, classes, settings)
    except (Exception, SystemExit) as error:  # whatever a user's function raises
        how, remedy = "failed", "mend it"
        if is_out_of_memory(error):
            how, remedy = "ran out of memory", "make it smaller"
        raise BadModel(f"{RULE}, got {name}, which {how} ({format_error(error)}); {remedy}") from None
    finally:
        keras.config.set_dtype_policy(before)
    if not isinstance(model, keras.Model):
        raise BadModel(f"{RULE}, got {name}, which returned {type(model).__name__}; return keras.Model(...)")
    return model


def _check_class(model: Any, name: str) -> None:
    steps = [method for method in STEPS if getattr(type(model), method) is not getattr(keras.Model, method)]
    if steps:
        raise BadModel(
            f"{RULE} that is trained as the settings say, got {name}, whose class has a {steps[0]} of its own"
            "; leave that out, or train it in a loop of your own with trial=function"
        )


def _list_names_before(features: Any) -> Iterator[str]:
    """Yield the names of the layers that compute the features."""
    waiting = [features]
    while waiting:
        operation, number, _ = waiting.pop()._keras_history
        yield operation.name
        waiting += operation._inbound_nodes[number].input_tensors


def _check_input(model: Any, name: str, shape: tuple[int, ...]) -> None:
    if not model.built:
        try:
            model.build((None, *shape))
        except Exception as error:
            raise BadModel(
                f"{RULE} for samples of shape {shape}, got {name}, whose model does not take them "
                f"({format_error(error)}); mend it"
            ) from None
    input_shape = getattr(model, "input_shape", (None, *shape))
    expected_shape = (None, *shape)
    fits = isinstance(input_shape, tuple) and len(input_shape) == len(expected_shape)
    if not fits or any(
        side not in (None, want) for side, want in zip(input_shape, expected_shape, strict=True)
    ):
        raise BadModel(
            f"{RULE} for samples of shape {shape}, got {name}, whose model takes {input_shape}; "
            "begin it with keras.Input(shape)"
        )


def _check_output(model: Any, name: str, classes: int) -> None:
    try:
        output_shape = model.output_shape
    except AttributeError:  # of a class of the user's own, which says nothing before it is called
        raise BadModel(
            f"{RULE} whose output has a shape, got {name}, whose model is a class of its own without one; "
            "return keras.Model(inputs, outputs)"
        ) from None
    if not isinstance(output_shape, tuple) or output_shape != (None, classes):
        raise BadModel(
            f"{RULE} with one output for each of {classes} classes, got {name}, whose model gives "
            f"{output_shape}; "
            "end it with keras.layers.Dense(classes)"
        )
    if not keras.backend.is_float_dtype(model.outputs[0].dtype):
        raise BadModel(
            f"{RULE} whose outputs can be learnt, got {name}, which gives {model.outputs[0].dtype}; leave "
            "out what makes whole numbers of them"
        )
    last = model
    while getattr(last, "outputs", None):  # a network within it may be what ends it
        last = last.outputs[0]._keras_history.operation
    activation = getattr(getattr(last, "activation", None), "__name__", "linear")
    if {type(last).__name__.lower(), activation} & {"softmax", "sigmoid"}:
        raise BadModel(
            f"{RULE} that ends with logits, got {name}, which ends with probabilities; leave "
            "that out: model.output=softmax or sigmoid puts it behind"
        )


def _check_embedding(model: Any, name: str) -> None:
    if not any(isinstance(layer, keras.layers.Embedding) for layer in model._flatten_layers()):
        raise BadModel(
            f"optimizer.sparse must be false without a keras.layers.Embedding, got true for {name}, which "
            "has none; leave optimizer.sparse out"
        )


def format_error(error: BaseException) -> str:
    """Format what a user's code raises in one line."""
    text = mask(next(iter(str(error).strip().splitlines()), ""))[:120]
    return f"{type(error).__name__}: {text}"
