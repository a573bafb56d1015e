"""Where runs are recorded and shown."""

import pytest

from pipeline.errors import BadSetting
from tests.settings.refusals import exchange, remedy


@pytest.mark.parametrize("port", [0, 65536])
def test_a_port_that_does_not_exist_is_refused(port: int) -> None:
    with pytest.raises(BadSetting, match=remedy("ui.port")):
        exchange("ui.port", port)
