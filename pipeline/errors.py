"""The errors of this package, by name.

FulcrumError                    anything this package raises on purpose
├── BadInput                    the user can correct it: exit code 2
│   ├── BadSetting              a key, a value or a pair of values in the settings
│   ├── BadData                 a file, an array or a label
│   │   ├── DataMissing         a file that is not there and cannot be fetched
│   │   └── DataChanged         a file that was written while it was in use
│   ├── CacheUnusable           a folder of `cache_dir` that cannot be written, or has no room left
│   ├── BadDevice               a device that was asked for and is not there
│   ├── BadRequest              what was sent to a trained model is not what it answers to
│   └── BadModel                a trained model that cannot be found or used
├── Diverged                    a loss or a model reached NaN or infinity: the trial failed
├── LoopFailed              a training loop of the user's own did not do what was agreed
├── ServerFailed                a served model ended, or answered no more, while it was asked
├── RecordDeleted               somebody deleted the MLflow run, experiment or study that was written into
└── StoreUnusable               a database cannot be read or written any more: exit code 1
    └── StoreLocked             another program keeps it locked
Stopped                         SIGTERM, SIGUSR1: not an Exception, so that no handler catches it by accident
"""

from typing import TypeVar


def format_one_line(text: str) -> str:
    """Return the text with line ends and control characters written as escapes, so that it is one line."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def read_first_line(error: BaseException) -> str:
    """Return the first line of what an error says; the name of its type where it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def read_reason(error: BaseException) -> str:
    """Return what the system says of a file that cannot be read; of other errors the first line."""
    return getattr(error, "strerror", None) or read_first_line(error)


class FulcrumError(Exception):
    """Base class of all errors. The text is one line: key, rule, value, remedy."""

    exit_code = 1


class BadInput(FulcrumError):
    """The user's input is at fault; nothing was recorded.

    The text quotes what came from outside (names in files, values of a command line), so what would break
    its one line is written as escapes here, once for all.
    """

    exit_code = 2

    def __init__(self, text: str = "") -> None:
        super().__init__(format_one_line(text))


class BadSetting(BadInput):
    """A setting has a wrong key, type or value, or two settings exclude each other."""


class BadData(BadInput):
    """A data file or array breaks a rule."""


class DataMissing(BadData):
    """A data file is absent and could not be fetched."""


class DataChanged(BadData):
    """Data was changed while it was read, or while a search that had begun with it went on."""


class CacheUnusable(BadInput):
    """A folder of `cache_dir` cannot be written, or is full: no fault of the trial that it was for."""


class BadDevice(BadInput):
    """The device asked for is not usable."""


class BadRequest(BadInput):
    """What was sent to a trained model is not what it answers to."""


class BadModel(BadInput):
    """A run id, registry URI or path names no usable model."""


class Diverged(FulcrumError):
    """A loss, or what the trained model answers, became NaN or infinite.

    `device_seconds`: what the training that diverged had spent until then.
    """

    def __init__(self, text: str, device_seconds: float = 0.0) -> None:
        super().__init__(text)
        self.device_seconds = device_seconds


class ServerFailed(FulcrumError):
    """A served model ended, answered no more, or refused what it should answer, while it was measured."""


class RecordDeleted(FulcrumError):
    """Somebody has deleted the MLflow run, the experiment or the study that a command still writes into."""


class LoopFailed(FulcrumError):
    """A training loop of the user's own raised, ended badly, or reported what is no accuracy.

    `output`: what tells more, such as a traceback; text of any length.
    """

    def __init__(self, text: str, output: str = "") -> None:
        super().__init__(format_one_line(text))  # which quotes what a loop has said
        self.output = output

    def __reduce__(self) -> tuple[type["LoopFailed"], tuple[str, str]]:
        return type(self), (str(self), self.output)


class StoreUnusable(FulcrumError):
    """A database that was in use cannot be read or written any more; what was recorded is kept."""


class StoreLocked(StoreUnusable):
    """Another program has kept a database locked for longer than anybody waits."""


ErrorKind = TypeVar("ErrorKind", bound=BaseException)


def find_cause(error: BaseException | None, kind: type[ErrorKind]) -> ErrorKind | None:
    """Find the error of a kind that a library has wrapped into one of its own; None where there is none."""
    while error is not None and not isinstance(error, kind):
        error = error.__cause__ or error.__context__
    return error


class Stopped(BaseException):
    """SIGTERM, SIGHUP or another signal that asks to stop arrived. Like Ctrl-C it ends a run as KILLED."""
