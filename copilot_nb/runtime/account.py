"""The Copilot account, as the runtime knows it: who is logged in, what the account may use, logging out.

The runtime finds a login by itself (a variable, the system's keychain, a file of its own, the GitHub CLI) and does not
hand out the token. Logging out without a keychain is done here: the runtime 1.0.102 refuses to, even if it keeps the
login in its own file, so we remove the login from that file.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from copilot.generated import rpc

from copilot_nb.errors import ProviderError, RuntimeUnavailable
from copilot_nb.foreign_json import parsed
from copilot_nb.providers.base import ModelInfo
from copilot_nb.runtime.login import github_cli_logins, token_variable
from copilot_nb.runtime.sdk_errors import SDK_ERRORS, not_logged_in, translated, unusable_login

if TYPE_CHECKING:
    from copilot import CopilotClient

T = TypeVar("T", bool, int, float)

CONFIG = "config.json"
_OWN = ("authTokens", "copilotTokens")


@dataclass(frozen=True, slots=True)
class Login:
    """Who is logged in.

    Attributes
    ----------
    user, host : str
        The account, and where it is.
    kind : str
        How the runtime found it: ``"user"``, ``"env"``, ``"gh-cli"``, …
    where : str
        Where it is kept, as one tells a user.
    """

    user: str
    host: str
    kind: str
    where: str

    @property
    def account(self) -> str:
        """The account for a reader: ``"octocat (github.com)"``."""
        return f"{self.user or 'somebody'} ({self.host.partition('://')[2] or self.host})"


@dataclass(frozen=True, slots=True)
class Quota:
    """The allowance of an account for a period, and how much is used; -1 entitled: no limit."""

    name: str
    used: int
    entitled: int
    left_percent: float
    resets: str


class Account:
    """The account of the running runtime.

    Parameters
    ----------
    ready : callable
        Returns the SDK's client, connected.
    home : callable
        Returns the folder in which the runtime keeps what it knows.
    misses_login : callable
        Whether there may be a login for which the running runtime does not look.
    """

    def __init__(
        self, ready: Callable[[], Awaitable[CopilotClient]], home: Callable[[], Path], misses_login: Callable[[], bool]
    ) -> None:
        self._ready = ready
        self._home = home
        self._misses_login = misses_login

    async def login(self) -> Login | None:
        """Return who is logged in; ``None`` if nobody is."""
        client = await self._ready()
        async with translated("asking for the login"):
            status = await client.get_auth_status()
        if not status.isAuthenticated:
            return None
        user, host, kind = status.login or "", status.host or "", status.authType or ""
        return Login(user, host, kind, self._where(user, host, kind))

    def _where(self, user: str, host: str, kind: str) -> str:
        if kind == "env":
            return f"the environment variable {token_variable()}"
        if kind == "gh-cli":
            return "the GitHub CLI (gh auth login)"
        if kind == "user":
            path = self._home() / CONFIG
            return f"the file {path}" if _mentions(path, user, host) else "the system keychain"
        return f"the runtime ({kind})"

    async def problems(self) -> list[str]:
        """Return why the logins that the runtime found cannot be used."""
        client = await self._ready()
        async with translated("asking for the login"):
            return list((await client.rpc.account.get_current_auth()).auth_errors or [])

    async def login_problem(self) -> ProviderError | None:
        """Return the error of a login that cannot be used, or not yet; ``None`` if there is no such login."""
        problems = await self.problems()
        if self._misses_login():
            said = "the new Copilot login is used when no turn is under way"
            return ProviderError(said, "%copilot wait, then ask again")
        return unusable_login(problems[0]) if problems else None

    async def log_out(self, login: Login) -> bool:
        """Log out; return whether the runtime has to restart to forget the login.

        Raises
        ------
        ProviderError
            If the login is not one that the runtime keeps.
        RuntimeUnavailable
            If the file that it is kept in cannot be changed.
        """
        if login.kind == "env":
            raise ProviderError(f"the login comes from {login.where}", "unset it, then %copilot restart")
        if login.kind != "user":
            raise ProviderError(f"the login comes from {login.where}", "log out there, then %copilot restart")
        client = await self._ready()
        request = rpc.AccountLogoutRequest(auth_info=rpc.UserAuthInfo(login.host, login.user))
        path = self._home() / CONFIG
        async with translated("logging out"):
            try:
                await client.rpc.account.logout(request)
            except SDK_ERRORS:
                if not _mentions(path, login.user, login.host):
                    raise
                _forget(path, login.user, login.host)
                return True
        return False

    async def models(self) -> list[ModelInfo]:
        """Return the models that the account may use, as the runtime describes them.

        Raises
        ------
        ProviderError
            If nobody is logged in, or GitHub cannot be asked.
        """
        client = await self._ready()
        if await self.login() is None:
            raise await self.login_problem() or not_logged_in()
        async with translated("listing the account's models"):
            # As the runtime tells it: the SDK's types lose `tool_calls`, and refuse whatever they do not expect.
            told = await getattr(client, "_client").request("models.list", {})  # noqa: B009 - it is private
        return [_model(entry) for entry in told.get("models") or () if isinstance(entry, dict)]

    async def quota(self) -> list[Quota]:
        """Return the account's quotas, if the runtime reports them."""
        client = await self._ready()
        async with translated("asking for the quota"):
            found = (await client.rpc.account.get_quota(rpc.AccountGetQuotaRequest())).quota_snapshots
        return [
            Quota(
                name.replace("_", " "),
                each.used_requests,
                -1 if each.is_unlimited_entitlement else each.entitlement_requests,
                each.remaining_percentage,
                (each.reset_date or "").partition("T")[0],
            )
            for name, each in found.items()
        ]


def may_find_login(home: Path) -> bool:
    """Whether there is a trace of a login: in a variable, in the file of the runtime's home, or of the GitHub CLI."""
    return bool(token_variable()) or _names_users(home / CONFIG) or github_cli_logins().exists()


def _model(entry: Mapping[str, Any]) -> ModelInfo:
    abilities = _part(entry, "capabilities")
    limits, supports, billing = _part(abilities, "limits"), _part(abilities, "supports"), _part(entry, "billing")
    efforts = entry.get("supportedReasoningEfforts")
    return ModelInfo(
        str(entry.get("id", "")),
        window_tokens=_if(int, limits.get("max_context_window_tokens")),
        output_tokens=_if(int, limits.get("max_output_tokens")),
        tools=_if(bool, supports.get("tool_calls")),
        # what a model cannot do, GitHub often leaves out
        vision=bool(supports.get("vision")) if supports else None,
        efforts=tuple(map(str, efforts or ())) if supports else None,
        multiplier=_if(float, billing.get("multiplier")),
    )


def _part(entry: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = entry.get(name)
    return part if isinstance(part, dict) else {}


def _if(kind: type[T], value: Any) -> T | None:
    """Return a JSON value if it has the expected type, else ``None``."""
    return kind(value) if isinstance(value, bool if kind is bool else int | float) else None


# The runtime's file: JSON under lines of comment


def _config(path: Path) -> tuple[str, dict[str, Any]]:
    """Return the comment lines and the settings after them; empty if the file is not of that form."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return "", {}
    match = re.match(r"(?:\s*//[^\n]*\n)*", text)
    head = match[0] if match else ""
    try:
        data = parsed(text[len(head) :])
    except ValueError:
        return head, {}
    return head, data if isinstance(data, dict) else {}


def _names_users(path: Path) -> bool:
    """Whether the runtime's file may name logins, whose tokens it or a keychain has."""
    if not path.exists():
        return False
    data = _config(path)[1]
    return not data or bool(data.get("loggedInUsers") or data.get(_OWN[0]))


def _is_of(key: str, user: str, host: str) -> bool:
    return key == f"{host}:{user}" or key.startswith(f"{host}:{user}:")


def _mentions(path: Path, user: str, host: str) -> bool:
    """Whether the runtime keeps this login in its file."""
    tokens = _config(path)[1].get(_OWN[0])
    return isinstance(tokens, dict) and any(_is_of(key, user, host) for key in tokens)


def _forget(path: Path, user: str, host: str) -> None:
    """Remove a login from the runtime's file, which is replaced at once and readable by its owner only."""
    head, data = _config(path)
    for name in _OWN:
        if isinstance(kept := data.get(name), dict):
            data[name] = {key: value for key, value in kept.items() if not _is_of(key, user, host)}
    data["loggedInUsers"] = [each for each in data.get("loggedInUsers") or [] if not _is_user(each, user, host)]
    if _is_user(data.get("lastLoggedInUser"), user, host):
        del data["lastLoggedInUser"]
    try:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as file:
            file.write(f"{head}{json.dumps(data, indent=2)}\n")
        Path(file.name).replace(path)
    except OSError as error:
        raise RuntimeUnavailable(f"{path} cannot be changed: {error.strerror or error}") from error


def _is_user(entry: object, user: str, host: str) -> bool:
    return isinstance(entry, dict) and (entry.get("login"), entry.get("host")) == (user, host)
