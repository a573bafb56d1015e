"""A bag of embeddings, for texts as tokens."""

from dataclasses import replace
from typing import Any

from pipeline.backend import keras
from pipeline.data.features import Tokens
from pipeline.data.prepared import Prepared
from pipeline.errors import BadData
from pipeline.models.architectures import Architecture
from pipeline.models.layers import drop_out, get_wide_type, make_logits
from pipeline.settings.model import Text
from pipeline.settings.settings import Settings


class TextArchitecture(Architecture):
    """Mean and maximum over the words of their embeddings, then a hidden layer if there is one."""

    width_key = "width"
    smallest_halved = 16

    @staticmethod
    def build_logits(settings: Settings, prepared: Prepared, features: Any) -> Any:
        """Build them on the numbers of words, int [n, words]; 0 is no word.

        Raises:
            BadData: the samples are no texts as tokens.
        """
        text, front, policy = settings.model, prepared.front, settings.precision.policy.value
        assert isinstance(text, Text)
        if not isinstance(front, Tokens):
            raise BadData(
                f"model=text needs texts as tokens, got samples of shape {list(prepared.shape)}; use a data "
                "set of texts, with vocabulary.form=auto or tokens"
            )
        # In half precision each step would convert the whole table, for the few rows that it reads.
        embedding = keras.layers.Embedding(
            len(front.vocabulary) + 2, text.width, dtype=get_wide_type(settings), name="embedding"
        )
        words = drop_out(settings, text.dropout, embedding(features), 1)
        is_word = keras.ops.cast(keras.ops.expand_dims(keras.ops.not_equal(features, 0), -1), words.dtype)
        words = words * is_word
        mean = keras.ops.sum(words, 1) / keras.ops.maximum(keras.ops.sum(is_word, 1), 1)
        tensor = keras.ops.concatenate([mean, keras.ops.max(words, 1)], -1)
        if text.hidden:
            dense = keras.layers.Dense(text.hidden, text.activation.value, dtype=policy, name="hidden_1")
            tensor = dense(tensor)
        return make_logits(settings, prepared, drop_out(settings, text.dropout, tensor, 2))

    @staticmethod
    def shrink_to_one_unit(model: Text) -> Text:
        return replace(model, width=1, hidden=min(model.hidden, 1))
