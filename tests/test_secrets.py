import pytest

from pipeline.secrets import mask


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgresql://ann:pw@host/db", "postgresql://ann:***@host/db"),
        ("https://token123@host/x", "https://***@host/x"),
        ("https://host/x?token=abc&n=1", "https://host/x?token=***&n=1"),
        ("https://host/x?n=1&X-Amz-Signature=abc", "https://host/x?n=1&X-Amz-Signature=***"),
        (
            "run --storage postgresql+psycopg2://u:p%40ss@h:5432/d now",
            "run --storage postgresql+psycopg2://u:***@h:5432/d now",
        ),
        ("sqlite:////home/me/mlflow.db", "sqlite:////home/me/mlflow.db"),
        ("mail me@host or http://host/path", "mail me@host or http://host/path"),
    ],
)
def test_secrets_are_hidden_and_nothing_else(text: str, expected: str) -> None:
    assert mask(text) == expected
    assert mask(mask(text)) == expected
