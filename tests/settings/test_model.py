"""Networks."""

import pytest

from pipeline.errors import BadSetting
from pipeline.settings.model import Init
from tests.settings.refusals import exchange, remedy


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("model.hidden", 0, ()),
        ("model.layers", 65, ()),
        ("model.dropout", 1.0, ()),
        ("model.pretrained", "run", ()),
        ("model.filters", 0, ("model=cnn",)),
        ("model.blocks", 9, ("model=cnn",)),
        ("model.hidden", 0, ("model=cnn",)),
        ("model.dropout", -0.1, ("model=cnn",)),
        ("model.width", 0, ("model=text",)),
        ("model.hidden", -1, ("model=text",)),
        ("model.dropout", 1.0, ("model=text",)),
        ("model.build", "module", ("model=custom", "model.build=module:function")),
        ("model.hidden", 0, ("model=custom", "model.build=module:function")),
    ],
)
def test_a_value_out_of_range_is_refused(key: str, value: object, words: tuple[str, ...]) -> None:
    with pytest.raises(BadSetting, match=remedy(key)):
        exchange(key, value, *words)


def test_pretrained_weights_need_a_name() -> None:
    with pytest.raises(BadSetting, match=r"^model\.pretrained must be set .* got None"):
        exchange("model.init", Init.pretrained)
