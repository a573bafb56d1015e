"""Secrets are hidden wherever they may show, and nothing else is."""

import shlex
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import make_url

from pipeline.secrets import HIDDEN, mask
from pipeline.settings.command_line import CommandLine, Overrides
from tests.support.sweeps import composed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgresql://ann:pw@host/db", "postgresql://ann:***@host/db"),
        ("postgresql://ann:se/cret@host/db", "postgresql://ann:***@host/db"),
        ("postgresql://ann:p@ss@host/db", "postgresql://ann:***@host/db"),
        ("postgresql://ann:p w@host/db", "postgresql://ann:***@host/db"),
        ("search.storage=postgresql://ann:p 'w@host/db", "search.storage=postgresql://ann:***@host/db"),
        ("postgresql://ann@corp:pw@host/db", "postgresql://***:***@host/db"),
        ("https://token123@host/x", "https://***@host/x"),
        ("https://host/x?token=abc&n=1", "https://host/x?token=***&n=1"),
        ("https://host/x?n=1&X-Amz-Signature=abc", "https://host/x?n=1&X-Amz-Signature=***"),
        ("https://host/x?sv=2&sig=a%2Fb&se=1", "https://host/x?sv=2&sig=***&se=1"),
        ("postgresql://host/db?sslpassword=a b", "postgresql://host/db?sslpassword=***"),
        ("postgresql:///db?user=ann&password=pw", "postgresql:///db?user=ann&password=***"),
        ("connection to host=h password=geheim failed", "connection to host=h password=*** failed"),
        ("connect(password='a b', user='ann')", "connect(password='***', user='ann')"),
        ('{"password": "geheim", "user": "ann"}', '{"password": "***", "user": "ann"}'),
        (
            "python -m pipeline run db_password=geheim epochs=2",
            "python -m pipeline run db_password=*** epochs=2",
        ),
        ("python train.py --api-key geheim --wide", "python train.py --api-key *** --wide"),
        ("hf_token=geheim", "hf_token=***"),
        ("['train.py', '--password', 'geheim']", "['train.py', '--password', '***']"),
        ("401 for {'Authorization': 'Bearer geheim'}", "401 for {'Authorization': 'Bearer ***'}"),
        ("AccountName=a;AccountKey=geheim==;x=1", "AccountName=a;AccountKey=***;x=1"),
        ("Authorization: Basic YW5uOmdlaGVpbQ==", "Authorization: Basic ***"),
        ('{"authorization": "geheim", "n": 1}', '{"authorization": "***", "n": 1}'),
        ('{"text": "{\\"password\\": \\"geheim\\"}"}', '{"text": "{\\"password\\": \\"***\\"}"}'),
        ("password=ge\\heim, n=1", "password=***, n=1"),
        ("storage_key=geheim Private-Token: geheim", "storage_key=*** Private-Token: ***"),
        (f"git clone failed: ghp_{36 * 'a'} is no token", "git clone failed: *** is no token"),
        (f"hf_{34 * 'x'}, sk-proj-{40 * 'y'}", "***, ***"),
        ("got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "got ***"),
        (
            "run --storage postgresql+psycopg2://u:p%40ss@h:5432/d now",
            "run --storage postgresql+psycopg2://u:***@h:5432/d now",
        ),
    ],
)
def test_secrets_are_hidden(text: str, expected: str) -> None:
    assert mask(text) == expected
    assert mask(mask(text)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "sqlite:////home/me/mlflow.db",
        "sqlite:////x/m.db?timeout=60",
        "mail me@host or http://host/path",
        "https://github.com/x/y@branch",
        "python -m pipeline run search.storage=postgresql://host:5432/db trained=models:/digits@best",
        "http://127.0.0.1:5000/#/experiments/1/runs?viewStateShareKey=abc&compareRunsMode=CHART",
        "vocabulary.token=words model.hidden=16",
        "pad_token=<pad> max_tokens=512 api=x passes=3 a-basic=1 key=3",
        "sort_key=name id_token=7 Basic training of a sk-learn model, hf_hub, task-of-some-twenty-letters",
        "authorization of ann is missing; risk-0123456789-0123456789 my-sk-learn-model-of-many-words",
        "",
    ],
)
def test_nothing_else_is_hidden(text: str) -> None:
    assert mask(text) == text


LETTERS = st.characters(min_codepoint=33, max_codepoint=0x24F, exclude_characters="\x7f\x85\xa0")
PASSWORDS = st.text(LETTERS, min_size=6, max_size=20)
PREFIX = "Qx7"
"""Begins each password, so that no other part of a text has it by chance."""


@given(PASSWORDS, st.sampled_from(["postgresql", "mysql+pymysql", "https", "redis"]), st.booleans())
def test_no_password_of_an_address_shows(password: str, scheme: str, escaped: bool) -> None:
    secret = PREFIX + (quote(password, safe="") if escaped else password)
    for text in (
        f"{scheme}://ann:{secret}@host:5432/db",
        f"search.storage={scheme}://ann:{secret}@host/db?timeout=5",
        f"cannot open {scheme}://ann:{secret}@host/db (it is closed)",
    ):
        masked = mask(text)
        assert PREFIX not in masked
        assert secret not in masked
        assert f"ann:{HIDDEN}@host" in masked


@given(PASSWORDS, st.sampled_from(["password", "token", "sslpassword", "sig", "api_key", "X-Amz-Credential"]))
def test_no_secret_of_a_query_shows(password: str, name: str) -> None:
    text = f"https://host/db?{name}={PREFIX}{quote_plus(password)}&n=1"
    assert mask(f"got {text} there") == f"got https://host/db?{name}=***&n=1 there"


@given(PASSWORDS)
def test_what_sqlalchemy_hides_is_hidden(password: str) -> None:
    address = f"postgresql://ann:{PREFIX}{quote(password, safe='/')}@host/db"
    assert mask(address) == make_url(address).render_as_string(hide_password=True)


@given(st.text(LETTERS.filter(lambda letter: letter not in "'\"\\$"), min_size=6, max_size=20))
def test_a_recorded_command_line_shows_no_password(password: str) -> None:
    word = f"search.storage=postgresql://ann:{PREFIX} {password}@host/db"
    line = CommandLine(composed(()).settings, {}, Overrides((word, "train.epochs=2"))).command_line("sweep")
    assert PREFIX not in line
    assert shlex.split(line)[-2:] == [f"search.storage=postgresql://ann:{HIDDEN}@host/db", "train.epochs=2"]


@pytest.mark.parametrize(
    "name",
    [
        *("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "AWS_SECRET_ACCESS_KEY", "MYSQL_PWD"),
        *("SMTP_PASS", "AZURE_STORAGE_KEY", "AZURE_STORAGE_CONNECTION_STRING", "WANDB_API_KEY"),
    ],
)
def test_secrets_of_the_environment_are_hidden(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "geheim/123")
    assert mask("401 for ann:geheim/123, try again") == "401 for ann:***, try again"
    assert mask("geheim/1234") == "geheim/1234"


def test_passwords_of_addresses_in_the_environment_are_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://ann:geheim/123@host/db")
    assert mask("no login for ann with geheim/123") == "no login for ann with ***"


def test_secrets_of_queries_in_the_environment_are_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_URL", "https://host/t.csv?sv=2024-01-01&sig=geheim%2F123")
    assert mask("the signature geheim%2F123 of 2024-01-01") == "the signature *** of 2024-01-01"


def test_variables_that_only_look_like_secrets_hide_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "disabled")
    monkeypatch.setenv("DB_PASSWORD_FILE", "/run/secret")
    monkeypatch.setenv("API_KEY", "short")
    assert mask("disabled /run/secret short") == "disabled /run/secret short"


def test_a_library_shows_no_part_of_the_secret_of_an_address() -> None:
    address = "postgresql://ann:p@cret@127.0.0.1:9/db"
    assert (
        mask("failed to resolve host 'cret@127.0.0.1'", address) == "failed to resolve host '***@127.0.0.1'"
    )
    assert mask("bad: se/cret", "postgresql://ann:se%2Fcret@h/db") == "bad: ***"
    assert mask("bad: se/cret", "search.storage=postgresql://ann:se%2Fcret@h/db") == "bad: ***"


def test_a_secret_that_was_typed_is_hidden_wherever_it_stands() -> None:
    assert mask("no login with geheim", "--db_password=geheim", "a=b") == "no login with ***"
    assert mask("no login with geheim", "vocabulary.token=geheim") == "no login with geheim"
    program = "trial.command=python train.py {lr} --password 'geheim'"
    assert mask("train.py said geheim", program) == "train.py said ***"
