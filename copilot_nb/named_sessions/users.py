"""Sessions of several users: ``cp.session("chat", user="alice")`` is the session ``alice-chat``, and alice's.

The name alone does not tell whose a session is (``a-b-c`` may be a's or a-b's), so its user is kept beside it, and is
looked at whenever something is done for a user: what is not theirs they can neither open nor delete, and do not see
listed. What nobody asked for as a user belongs to no user.

That keeps apart the people for whom one program acts, such as the visitors of a dashboard. It is no lock: whoever runs
code in the kernel can do without it.
"""

from __future__ import annotations

import unicodedata

from copilot_nb.errors import InputError
from copilot_nb.named_sessions.names import check_name

MAX_USER_CHARS = 100


def check_user(user: str) -> str:
    """Return `user` as it is stored (Unicode NFC, outer blanks removed).

    Raises
    ------
    InputError
        If it is blank, too long, or holds control characters.
    """
    user = unicodedata.normalize("NFC", user).strip()
    if not user or len(user) > MAX_USER_CHARS:
        raise InputError(f"a user's name has 1 to {MAX_USER_CHARS} characters, not {len(user)}")
    if any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in user):
        raise InputError(f"a user's name cannot hold control characters: {user[:40]!r}")
    return user


def for_user(name: str, user: str, template: str) -> tuple[str, str]:
    """Return a user and the name of what they call `name`, both as they are stored; ``""``: no user.

    Raises
    ------
    InputError
        If one of them cannot be used.
    """
    if not user:
        return "", check_name(name)
    return check_user(user), check_name(name_for(name, user, template))


def name_for(name: str, user: str, template: str) -> str:
    """Return the session's name for what `user` calls `name`; a name that is one by the template already stays.

    Parameters
    ----------
    name, user : str
        As they are given.
    template : str
        Holds ``{user}`` and ``{name}``.

    Raises
    ------
    InputError
        If the user's name cannot be used, or the other is blank.
    """
    user, name = check_user(user), unicodedata.normalize("NFC", name).strip()
    if not name:
        raise InputError("a session needs a name", 'for example: cp.session("chat", user="alice")')
    before, after = _around(user, template)
    return name if own_name(name, user, template) != name else f"{before}{name}{after}"


def own_name(name: str, user: str, template: str) -> str:
    """Return what `user` calls the session `name`: what the template adds is left out, if it is there."""
    before, after = _around(user, template)
    is_by_template = name.startswith(before) and name.endswith(after) and len(name) > len(before) + len(after)
    return name[len(before) : len(name) - len(after)] if is_by_template else name


def _around(user: str, template: str) -> tuple[str, str]:
    before, after = template.split("{name}", 1)
    return before.replace("{user}", user), after.replace("{user}", user)
