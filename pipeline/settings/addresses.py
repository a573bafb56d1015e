"""Addresses of databases, read and written by the rules of SQLAlchemy, which opens them in the end.

SQLAlchemy is imported where it is needed: most mistakes of a command line are told without it.
"""

import os
import re
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pipeline.errors import BadInput, FulcrumError, StoreLocked, find_cause
from pipeline.secrets import mask
from pipeline.settings.stores.first_answer import SERVERS, check_database, check_server

PACKAGE = Path(__file__).resolve().parents[1]
CONF = PACKAGE / "conf" if (PACKAGE / "conf").is_dir() else PACKAGE.parent / "conf"
"""The folder of all values: inside an installed package, beside it in a checkout."""
CHECKOUT = CONF.parent if CONF.parent != PACKAGE else None
"""The folder of the checkout; None where the package was installed."""
TRACKING_URI, REGISTRY_URI = "MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"
REASON_LETTERS = 300
UPGRADES = {
    "mlflow db upgrade": "it is of another version of MLflow; copy it, then run: mlflow db upgrade {address}",
    "optuna storage upgrade": (
        "it is of another version of Optuna; copy it, then run: optuna storage upgrade --storage {address}"
    ),
    "Can't locate revision identified by": (
        "its tables are of another program, such as Optuna; MLflow needs a database of its own"
    ),
    "no longer compatible with the table schema": (
        "its tables are of another program, such as MLflow, or of another version of Optuna; "
        "give the studies a database of their own"
    ),
}
"""What libraries say of a database of another version, and the remedy."""
NEWER = "it is of a newer version of MLflow than the one here; install that one, or name another database"


AS_EXPERIMENT = "?workflowType=machine_learning"
"""Ends the address of a page of MLflow: without it, a new browser shows the menus for prompts and agents."""
PAGE, FEED = "frontier.html", "frontier.js"
"""Names of a study's page and of its feed, in one folder."""


def make_run_route(experiment_id: str, run_id: str) -> str:
    """Return the address of a run's page, from the `#` on."""
    return f"#/experiments/{experiment_id}/runs/{run_id}{AS_EXPERIMENT}"


def read_uri() -> str:
    """Return MLFLOW_TRACKING_URI, else the address of the database in `get_own_folder`."""
    return _name_driver(os.environ.get(TRACKING_URI) or _make_default_address())


def _make_default_address() -> str:
    return make_sqlite_address(get_own_folder() / "mlflow.db")


def _name_driver(address: str) -> str:
    """Name the driver where MLflow would take the address for a path, and make a folder `a%20b` or `file:`.

    With the driver in it, it leaves the address to SQLAlchemy.
    """
    return address.replace("sqlite:", "sqlite+pysqlite:", 1) if _is_no_path(address) else address


def get_own_folder() -> Path:
    """Return where this program writes by default: its checkout; the working folder where it has none."""
    return CHECKOUT or Path.cwd()


def get_own_conf() -> Path:
    """Return the folder of a user's own options, such as saved experiments: `conf/` in `get_own_folder`."""
    return get_own_folder() / CONF.name


def find_options(group: str, conf: Path = CONF) -> dict[str, Path]:
    """Return the files of the options of a group by their names: those of `conf`, then the user's own."""
    folders = dict.fromkeys((conf, get_own_conf()))
    return {path.stem: path for folder in folders for path in sorted((folder / group).glob("*.yaml"))}


def make_study_address() -> str:
    """Return where studies lie by default: studies.db beside a local mlflow.db, else in `get_own_folder`."""
    database = read_sqlite_path(read_uri())
    return make_sqlite_address((database.parent if database else get_own_folder()) / "studies.db")


def make_sqlite_address(path: Path) -> str:
    """Return the address of an SQLite file, in which SQLAlchemy finds the path again, whatever is in it."""
    plain = f"sqlite:///{path}"
    if not set(plain) & set("%?#"):
        return plain
    from sqlalchemy import URL

    return URL.create("sqlite", database=str(path)).render_as_string(hide_password=False)


_IN_MEMORY = re.compile(r"sqlite(\+\w+)?:(//)?/?(\?.*)?|sqlite.*(:memory:|mode=memory).*")


_HOME = re.compile(r"sqlite(\+\w+)?:/*(?P<path>~[^?]*)(\?.*)?")
_HOST_AND_PORT = re.compile(r"[a-zA-Z\d][\w.-]*:\d{2,5}(/.*)?")
SUFFIXES = {".db", ".sqlite", ".sqlite3"}


def read_sqlite_path(address: str) -> Path | None:
    """Return the absolute path of an SQLite file; None for any other address, and for one in memory."""
    if not address.startswith("sqlite") or _IN_MEMORY.fullmatch(address):
        return None
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        database = make_url(address).database
    except (ArgumentError, ValueError):
        return None
    if not database:
        return None
    if database.startswith("file:"):  # SQLite's own form, which `uri=true` allows
        database = unquote(urlsplit(database).path)
    return Path(database).resolve()


def require_lasting(address: str) -> None:
    """Raise where nothing can be kept, or not where it was meant: one in memory ends with the process.

    Raises:
        ValueError: it is in memory, has letters that no database takes, or a home folder.
    """
    try:
        address.encode()
    except UnicodeEncodeError:
        raise ValueError("its folder has a name that is no UTF-8; take another folder") from None
    if _IN_MEMORY.fullmatch(address):
        raise ValueError("it is in memory, so all of it would be lost at the end of the command; name a file")
    if (home := _HOME.fullmatch(address)) and not Path(home["path"]).exists():
        raise ValueError("in an address ~ is no home folder")


def is_database(address: str) -> bool:
    """Return whether SQLAlchemy opens the address; a server or a folder is opened by others."""
    return address.startswith(("sqlite", "postgres", "mysql", "mssql", "mariadb", "oracle"))


def explain_failure(address: str, error: BaseException, remedy: str) -> str:
    """Return `got ADDRESS (REASON); REMEDY` without secrets: why a storage does not answer, and what to do.

    `remedy`: what to do where the reason does not say that itself.
    """
    text, shown = mask(str(error), address).strip(), mask(address)
    if _is_of_newer_mlflow(text):
        reason, _, better = NEWER.partition("; ")
        return f"got {shown} ({reason}); {better}"
    for phrase, upgrade in UPGRADES.items():
        if phrase in text:
            reason, _, better = upgrade.format(address=shown).partition("; ")
            return f"got {shown} ({reason}); {better}"
    if address.startswith("postgres:"):
        remedy = "write postgresql:// instead of postgres://"
    elif meant := suggest_address(address):
        remedy = f"write {mask(meant)}"
    reason = next(iter(text.splitlines()), type(error).__name__)
    short = reason if len(reason) <= REASON_LETTERS else f"{reason[: REASON_LETTERS - 3]}..."
    return f"got {shown} ({short}); {remedy}"


def suggest_address(address: str) -> str:
    """Suggest the address that was meant by one that is none; "" where nobody can tell."""
    scheme, colon, rest = address.partition(":")
    if scheme != scheme.lower() and is_database(scheme.lower()):
        return f"{scheme.lower()}:{rest}"
    path = rest.lstrip("/") if _HOME.fullmatch(address) else rest.removeprefix("//")
    is_slip = scheme.startswith("sqlite") and colon and not rest.startswith("///")
    if is_slip or _HOME.fullmatch(address) or (Path(address).suffix in SUFFIXES and not colon):
        return make_sqlite_address(Path(os.path.expanduser(path if colon else address)).absolute())
    return f"http://{address}" if _HOST_AND_PORT.fullmatch(address) else ""


def _is_of_newer_mlflow(text: str) -> bool:
    """Return whether MLflow names a version of its tables that it does not know itself, so cannot upgrade."""
    found, package = re.search(r"schema \(found version (\w+)", text), find_spec("mlflow")
    if found is None or package is None:
        return False
    folders = [
        Path(place, "store/db_migrations/versions") for place in package.submodule_search_locations or ()
    ]
    return not any(path for folder in folders for path in folder.glob(f"{found[1]}_*.py"))


def check_store() -> None:
    """Check that the stores of runs and of models answer: at once, and nothing is created.

    Raises:
        BadInput: one of them does not answer.
    """
    registry = os.environ.get(REGISTRY_URI)
    for uri, variable in ((read_uri(), TRACKING_URI), *([(registry, REGISTRY_URI)] if registry else [])):
        path = read_sqlite_path(uri)
        try:
            require_lasting(uri)
            if urlsplit(uri).scheme in SERVERS:
                check_server(uri)
            elif is_database(uri) and (path is None or path.exists()):
                check_database(uri)
        except Exception as error:  # whatever a driver raises, the user's remedy is one
            raise explain_unusable_store(uri, error, variable) from None


def explain_unusable_store(uri: str, error: Exception, variable: str = TRACKING_URI) -> FulcrumError:
    """Return the error for a store that does not answer; it names the variable only where somebody set it.

    MLflow sets the variable itself once it is told an address, the default too.
    """
    if locked := find_cause(error, StoreLocked):
        return locked
    default = f"mlflow.db in the {'checkout' if CHECKOUT else 'working folder'}"
    if variable == REGISTRY_URI:
        rule, remedy = f"{variable} must name a store that answers", "unset it to use that of the runs"
    elif _name_driver(uri) != _name_driver(_make_default_address()):
        rule = f"{TRACKING_URI} must name a store that answers"
        remedy = f"unset it to use {default}"
    else:
        rule = f"{default} must answer"
        remedy = f"set {TRACKING_URI} to use another store"
    return BadInput(f"{rule}, {explain_failure(uri, error, remedy)}")


def _is_no_path(address: str) -> bool:
    """Return whether behind the slashes of an SQLite address stands no plain path: escapes, or `file:`."""
    return address.startswith("sqlite:///") and ("%" in address or address.startswith("sqlite:///file:"))
