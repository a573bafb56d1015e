"""What the user typed, and the settings it stands for."""

import shlex
from dataclasses import dataclass

from pipeline.settings.settings import Settings


@dataclass(frozen=True, slots=True)
class CommandLine:
    """What the user said: settings, the option chosen in each group, and the words that say so."""

    settings: Settings
    choices: dict[str, str]
    overrides: tuple[str, ...]

    def command_line(self, command: str) -> str:
        """The one line that repeats this."""
        return shlex.join(["python", "-m", "pipeline", command, *self.overrides])
