"""Passwords and tokens in addresses never reach a run, a log or a message."""

import re

HIDDEN = "***"
_USERINFO = re.compile(r"(?P<scheme>[a-zA-Z][\w+.-]*://)(?P<user>[^/@:\s]*)(?P<secret>:[^/@\s]*)?@")
_QUERY = re.compile(
    r"(?P<key>[?&;][^=&\s]*(?:password|passwd|pwd|token|secret|signature|sig|key|credential)[^=&\s]*=)[^&\s'\"]+",
    re.IGNORECASE,
)


def mask(text: str) -> str:
    """Mask the secrets of addresses: `postgresql://ann:pw@host/db?token=x` -> `postgresql://ann:***@host/db?token=***`.

    A lone user part (`https://token@host`) is a token as a rule, so it is hidden too.
    """
    return _QUERY.sub(rf"\g<key>{HIDDEN}", _USERINFO.sub(_hide, text))


def _hide(match: re.Match[str]) -> str:
    user = f"{match['user']}:{HIDDEN}" if match["secret"] else HIDDEN
    return f"{match['scheme']}{user}@"
