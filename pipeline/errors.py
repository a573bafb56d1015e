"""The errors of this package, by name.

FulcrumError                    anything this package raises on purpose
├── BadInput                    the user can correct it: exit code 2
│   ├── BadSetting              a key, a value or a pair of values in the settings
│   ├── BadData                 a file, an array or a label
│   │   └── DataMissing         a file that is not there and cannot be fetched
│   ├── BadDevice               a device that was asked for and is not there
│   └── BadModel                a trained model that cannot be found or used
└── Diverged                    a loss or a model reached NaN or infinity: the trial failed
Stopped                         SIGTERM or SIGHUP: not an Exception, so that no handler catches it by accident
"""


class FulcrumError(Exception):
    """Base class of all errors. The text is one line: key, rule, value, remedy."""

    exit_code = 1


class BadInput(FulcrumError):
    """The user's input is at fault; nothing was recorded."""

    exit_code = 2


class BadSetting(BadInput):
    """A setting has a wrong key, type or value, or two settings exclude each other."""


class BadData(BadInput):
    """A data file or array breaks a rule."""


class DataMissing(BadData):
    """A data file is absent and could not be fetched."""


class BadDevice(BadInput):
    """The device asked for is not usable."""


class BadModel(BadInput):
    """A run id, registry URI or path names no usable model."""


class Diverged(FulcrumError):
    """A loss, or what the trained model answers, became NaN or infinite.

    `device_seconds`: what the training that diverged had spent until then.
    """

    def __init__(self, text: str, device_seconds: float = 0.0) -> None:
        super().__init__(text)
        self.device_seconds = device_seconds


class Stopped(BaseException):
    """SIGTERM or SIGHUP arrived. Like Ctrl-C it ends a run as KILLED."""
