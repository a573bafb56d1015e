"""Where runs are recorded and shown."""

import pytest

from pipeline.errors import BadSetting
from tests.settings.refusals import exchange, remedy


@pytest.mark.parametrize("port", [0, 65536])
def test_a_port_that_does_not_exist_is_refused(port: int) -> None:
    with pytest.raises(BadSetting, match=remedy("ui.port")):
        exchange("ui.port", port)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        *(
            (f"tracking.{key}", name)
            for key in ("experiment", "register")
            for name in ("", "..", "a/b", "a:b")
        ),
        *((f"tracking.{key}", 300 * "x") for key in ("experiment", "register", "run_name")),
        *((f"tracking.{key}", "a\nb") for key in ("experiment", "register", "run_name")),
        ("tracking.run_name", ""),
        ("tracking.register", "model@best"),
        ("tracking.experiment", "it's"),
    ],
)
def test_a_name_that_mlflow_or_the_disk_refuses_is_refused_before_anything_runs(key: str, name: str) -> None:
    with pytest.raises(BadSetting, match=remedy(key)):
        exchange(key, name)


def test_a_run_may_have_any_title() -> None:
    assert exchange("tracking.run_name", "a/b: <c>").run_name == "a/b: <c>"
