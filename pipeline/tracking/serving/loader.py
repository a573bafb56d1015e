"""The loader of a saved model for MLflow (`mlflow.pyfunc`, `mlflow models serve`), saved with the model.

It and all that it imports are copied into the model under a name of their own (see `model_code`), so nothing
here may need the checkout.
"""

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE

IS_FIRST = "tensorflow" not in sys.modules

from pipeline.backend import keras, tf  # noqa: E402
from pipeline.errors import BadRequest  # noqa: E402
from pipeline.models.predictor import make_predictor  # noqa: E402
from pipeline.models.serving.answers import average_excerpts, make_answer  # noqa: E402
from pipeline.models.serving.description import DESCRIPTION_FILE, ModelDescription, decode_description  # noqa: E402
from pipeline.models.serving.requests import read_request  # noqa: E402
from pipeline.tracking.serving import scoring_server  # noqa: E402

MODEL_FILE = "model.keras"


class ServedModel:
    """A model that answers to what anybody may send: see `read_request`."""

    def __init__(self, model: Any, description: ModelDescription) -> None:
        """Serve a Keras model that answers to samples as `description` says."""
        self._model, self.description = model, description
        self._predict = make_predictor(model)

    def answer(self, sent: Any) -> dict[str, Any]:
        """Return the columns of the answer.

        Raises:
            BadRequest: it is not what the model answers to.
        """
        return self.answer_with_notes(sent)[0]

    def answer_with_notes(self, sent: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Return the columns of the answer, and a line for each thing that was sent and is not used.

        Raises:
            BadRequest: it is not what the model answers to.
        """
        request = read_request(sent, self.description)
        outputs = average_excerpts(self._predict(request.samples), request.excerpts)
        return make_answer(outputs, self.description), request.notes

    def predict(self, sent: Any, params: dict[str, Any] | None = None) -> Any:  # noqa: ARG002
        """Return the answer as a DataFrame, for MLflow.

        Raises:
            MlflowException: it is not what the model answers to; a server makes HTTP 400 of that.
        """
        import pandas

        try:
            return pandas.DataFrame(self.answer(sent))
        except BadRequest as error:
            raise MlflowException(str(error), error_code=INVALID_PARAMETER_VALUE) from None

    def get_raw_model(self) -> Any:
        """Return the Keras model."""
        return self._model


def _load_pyfunc(path: str) -> ServedModel:
    """Load a model for MLflow. `path`: the folder that holds the model's file and description."""
    if IS_FIRST:  # a server may use all cores, unlike a trial
        with suppress(RuntimeError):
            tf.config.threading.set_intra_op_parallelism_threads(0)
            tf.config.threading.set_inter_op_parallelism_threads(0)
    folder = Path(path)
    description = decode_description(json.loads((folder / DESCRIPTION_FILE).read_text()))
    model = keras.models.load_model(folder / MODEL_FILE, compile=False)
    scoring_server.take_over()
    return ServedModel(model, description)
