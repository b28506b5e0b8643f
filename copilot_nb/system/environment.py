"""The environment of the programs that copilot_nb starts: everything except keys.

The runtime gets a request's key from the kernel (`providers.relay`), and npm, pip and the model need none, so none is
passed on: a crash report, a log or a tool of such a program cannot reveal a key. A key is recognised by its name: that
of a provider's variable (``api_key_env``), or one that ends like a key, a token or a password.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping

LOGIN_TOKENS = ("COPILOT_GITHUB_TOKEN", "GH_TOKEN", "GITHUB_TOKEN")
"""The variables in which the runtime finds a login, the first one first; any of them comes before %copilot login."""
_SECRET_NAME = re.compile(
    r"((^|[_.-])(key|pass|pwd|pat)|password|passwd|passphrase|secret|token|credentials?"
    r"|(api|access|account|auth|client|encryption|private|secret|signing)key)"
    r"([_-]?\d+|[_-](base|dev|new|old|prod|production|staging|test))?$",
    re.IGNORECASE,
)
_NOT_SECRET = frozenset({"PWD", "OLDPWD"})
"""The working folder of a shell, and the one before it."""
_SMALL = re.compile(
    r"(PATH|HOME|USER|LOGNAME|SHELL|LANG|LANGUAGE|LC_\w+|TZ|TERM|TMPDIR|TEMP|TMP|LD_LIBRARY_PATH|DYLD_\w+"
    r"|SYSTEMROOT|USERPROFILE|APPDATA|LOCALAPPDATA|XDG_\w+)$",
    re.IGNORECASE,
)


def is_secret_name(name: str) -> bool:
    """Whether a variable of that name is a secret: it ends like a key, a token or a password.

    Examples
    --------
    >>> [is_secret_name(name) for name in ("OPENAI_API_KEY", "db_password_2", "MONKEY", "max_tokens")]
    [True, True, False, False]
    """
    return bool(_SECRET_NAME.search(name)) and name not in _NOT_SECRET


def without_keys(
    environ: Mapping[str, str] = os.environ, *, named: Collection[str] = (), kept: Collection[str] = ()
) -> dict[str, str]:
    """Return `environ` without keys.

    Parameters
    ----------
    environ : mapping
        The environment variables.
    named : collection of str
        Variables that are keys whatever they are called.
    kept : collection of str
        Variables that stay although they are called like keys.
    """
    return {
        name: value for name, value in environ.items() if name in kept or not (name in named or is_secret_name(name))
    }


def small(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables that a program needs to start and to find its files, for a program that is only checked."""
    return {name: value for name, value in environ.items() if _SMALL.match(name)}
