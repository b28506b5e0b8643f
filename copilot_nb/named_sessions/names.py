"""The names that users type, and the session ids that the runtime stores.

The runtime's ids match ``[A-Za-z0-9_-]{1,250}``; a name may be any printable text. A name that is a valid id is used as
the id, so that `copilot --resume session1` finds the session. Any other name is mapped to a readable, stable id: its
valid characters (at most 40), followed by ten hexadecimal digits of its SHA-256.
"""

from __future__ import annotations

import hashlib
import re
import shlex
import unicodedata

from copilot_nb.characters import hidden_sign
from copilot_nb.conversation.prompt import require_text
from copilot_nb.errors import InputError

MAX_NAME_CHARS = 300
MAX_TITLE_CHARS = 100
_LEGAL_ID = re.compile(r"[A-Za-z0-9_-]{1,250}")

COMMANDS = (
    "answer",
    "approve",
    "ask",
    "compare",
    "deny",
    "doctor",
    "export",
    "fix",
    "fork",
    "help",
    "import",
    "login",
    "logout",
    "ls",
    "models",
    "new",
    "panel",
    "provider",
    "prune",
    "rename",
    "restart",
    "rewind",
    "rm",
    "search",
    "show",
    "status",
    "stop",
    "usage",
    "use",
    "wait",
    "whoami",
)
"""The subcommands of `%copilot`; none can be the name of a session."""


def check_name(name: str) -> str:
    """Return `name` in its stored form (Unicode NFC, without leading and trailing whitespace).

    Raises
    ------
    InputError
        If it is empty, too long, starts with ``-`` or ``%``, contains an invisible character, or is one of
        `COMMANDS`.
    """
    name = unicodedata.normalize("NFC", require_text(name, "a session's name")).strip()
    if not name:
        raise InputError("a session needs a name", "for example: %%copilot session1")
    if name in COMMANDS:
        raise InputError(
            f"{name!r} is a subcommand of %copilot and cannot name a session", f"try {name}1, or %copilot {name}"
        )
    if name[0] in "-%":
        raise InputError(f"a session's name cannot start with {name[0]!r}: {name[:40]!r}", "see %copilot help")
    if len(name) > MAX_NAME_CHARS:
        raise InputError(f"a session's name has at most {MAX_NAME_CHARS} characters, not {len(name)}")
    if sign := hidden_sign(name):
        raise InputError(f"a session's name cannot contain an invisible character, U+{ord(sign):04X}: {name[:40]!r}")
    return name


def check_id(session_id: str) -> str:
    """Check a session id and return it.

    Raises
    ------
    InputError
        If the runtime would reject it.
    """
    if not _LEGAL_ID.fullmatch(require_text(session_id, "a session's id")):
        raise InputError(f"{session_id[:60]!r} is not a session id", "use 1 to 250 letters A-Z a-z, digits, _ and -")
    return session_id


def id_for(name: str) -> str:
    """Return the id of a new session called `name`: the name itself if it is a valid id."""
    if _LEGAL_ID.fullmatch(name):
        return name
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^A-Za-z0-9_]+", "-", ascii_name).strip("-")[:40] or "session"
    return f"{slug}-{hashlib.sha256(name.encode()).hexdigest()[:10]}"


def title_for(name: str) -> str:
    """Return the title the runtime lists a session under: no quotes, at most `MAX_TITLE_CHARS` characters."""
    return name.replace('"', "'")[:MAX_TITLE_CHARS].strip() or "session"


def quoted(name: str) -> str:
    """Return a name as an argument of ``%copilot``: in quotes if necessary."""
    return shlex.quote(name) if re.search(r"[\s\"'\\]", name) else name
