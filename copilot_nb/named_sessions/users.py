"""Sessions of several users: ``cp.session("chat", user="alice")`` opens ``alice-chat``, which belongs to alice.

The name alone does not identify the user (``a-b-c`` may belong to ``a`` or to ``a-b``), so the user is stored with the
session and checked by each call that names a user: such a call can only open, delete and list the sessions of that
user. A session that is created without a user belongs to no user.

This separates the people that one program serves, such as the visitors of a dashboard. It is not a security boundary:
any code in the kernel can use all sessions.
"""

from __future__ import annotations

import unicodedata

from copilot_nb.conversation.prompt import require_text
from copilot_nb.errors import InputError
from copilot_nb.named_sessions.names import check_name

MAX_USER_CHARS = 100


def check_user(user: str) -> str:
    """Return `user` in its stored form (Unicode NFC, without leading and trailing whitespace).

    Raises
    ------
    InputError
        If it is blank, too long, or contains control characters.
    """
    user = unicodedata.normalize("NFC", require_text(user, "a user's name")).strip()
    if not user or len(user) > MAX_USER_CHARS:
        raise InputError(f"a user's name has 1 to {MAX_USER_CHARS} characters, not {len(user)}")
    if any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in user):
        raise InputError(f"a user's name cannot contain control characters: {user[:40]!r}")
    return user


def for_user(name: str, user: str, template: str) -> tuple[str, str]:
    """Return the user (``""`` if none) and the full name of their session `name`, both in stored form.

    Raises
    ------
    InputError
        If the user or the name is invalid.
    """
    if not user:
        return "", check_name(name)
    return check_user(user), check_name(name_for(name, user, template))


def name_for(name: str, user: str, template: str) -> str:
    """Return the full name of the session that `user` calls `name`; a name that already fits the template is kept.

    Parameters
    ----------
    name, user : str
        The short name and the user, as given.
    template : str
        Contains ``{user}`` and ``{name}``.

    Raises
    ------
    InputError
        If the user is invalid or the name is blank.
    """
    user, name = check_user(user), unicodedata.normalize("NFC", require_text(name, "a session's name")).strip()
    if not name:
        raise InputError("a session needs a name", 'for example: cp.session("chat", user="alice")')
    before, after = _around(user, template)
    return name if own_name(name, user, template) != name else f"{before}{name}{after}"


def own_name(name: str, user: str, template: str) -> str:
    """Return the name by which `user` knows the session `name`: without the parts that the template adds, if any."""
    before, after = _around(user, template)
    is_by_template = name.startswith(before) and name.endswith(after) and len(name) > len(before) + len(after)
    return name[len(before) : len(name) - len(after)] if is_by_template else name


def _around(user: str, template: str) -> tuple[str, str]:
    before, after = template.split("{name}", 1)
    return before.replace("{user}", user), after.replace("{user}", user)
