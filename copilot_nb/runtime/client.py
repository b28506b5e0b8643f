"""The `CopilotClient` of this kernel: started at its first use, restarted when it dies, stopped with the kernel.

Objects and exceptions of the SDK do not leave this folder. It is imported on the
loop's own thread (`import copilot` alone takes about 0.3 s) and everything in it runs there.

The SDK leaves four things to us, measured on 1.0.25:

* A process started with the kernel gets the kernel's interrupts (SIGINT goes to the whole process group) and
  ends; `process.own_session` starts it in a session of its own. It still ends when its standard input closes, so a
  killed kernel leaves nothing behind.
* A waiter is not woken when the runtime dies. While a turn is under way, `_watch` pings.
* `mode="empty"` would hide a login kept in the system keychain, so its lean defaults are spelt out in `_LEAN`.
* Where nobody is logged in, the runtime forks at each opening of a session to run `gh auth token`. A fork costs more,
  the more memory the runtime has, so it looks for a login only where there may be one.

Why: docs/decisions/0002-copilot-cli-mode.md, docs/decisions/0041-no-runtime-served-elsewhere.md, and
docs/decisions/0053-look-for-a-login-where-one-may-be.md.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from copilot import CopilotClient
from copilot.client import StopError

from copilot_nb.errors import RuntimeUnavailable
from copilot_nb.providers.secrets import named_secrets
from copilot_nb.runtime.account import Account, may_find_login
from copilot_nb.runtime.archive import Archive
from copilot_nb.runtime.connection import Connection
from copilot_nb.runtime.home import require_home
from copilot_nb.runtime.install.find_runtime import find_runtime
from copilot_nb.runtime.process import end, has_ended, hold_pipes, own_session, process_id
from copilot_nb.runtime.router import Router
from copilot_nb.runtime.sdk_errors import SDK_ERRORS, translated
from copilot_nb.runtime.sdk_times import read_times_as_iso
from copilot_nb.runtime.session_tools import SessionTools
from copilot_nb.system.environment import LOGIN_TOKENS, without_keys
from copilot_nb.system.paths import expanded

if TYPE_CHECKING:
    from copilot_nb.conversation.changes import Change
    from copilot_nb.providers.base import Endpoint
    from copilot_nb.runtime.tools import ToolHost, Toolkit
    from copilot_nb.settings import CopilotNB

log = logging.getLogger(__name__)
# Both log tracebacks of errors that the user sees in one line; a program that configures logging still gets them.
logging.getLogger("copilot").addHandler(logging.NullHandler())
logging.getLogger("copilot_nb").addHandler(logging.NullHandler())
read_times_as_iso()

CLIENT_NAME = "copilot-nb"
OWN_PROVIDER = "COPILOT_PROVIDER_"
PING_EVERY_S = 0.5
PING_TIMEOUT_S = 10.0
START_BACKOFF_S = 2.0
GONE = "the Copilot runtime has stopped"
STOP_TIMEOUT_S = 3.0
"""The SDK's own graceful stop takes 0.1 s; a kernel is killed some seconds after it was told to shut down."""

_LEAN: Mapping[str, Any] = {
    "streaming": True,
    "available_tools": [],
    "client_name": CLIENT_NAME,
    "coauthor_enabled": False,
    "custom_agents_local_only": True,
    "disabled_mcp_servers": ["github-mcp-server"],  # with a login, two requests to GitHub for each session
    "embedding_cache_storage": "in-memory",
    "enable_config_discovery": False,
    "enable_experimental_mode": False,
    "enable_file_hooks": False,
    "enable_host_git_operations": False,
    "enable_on_demand_instruction_discovery": False,
    "enable_session_store": False,
    "enable_session_telemetry": False,
    "enable_skills": False,
    "included_builtin_skills": [],
    "manage_schedule_enabled": False,
    "mcp_oauth_token_storage": "in-memory",
    "memory": {"enabled": False},
    "skip_custom_instructions": True,
    "skip_embedding_retrieval": True,
}
"""Options of every session: no tools, nothing discovered, nothing remembered outside its history.

Without them a prompt carries some 40 kB of instructions and tool definitions. `SessionTools` adds what a session has.
"""
_SET_AFTERWARDS = frozenset(
    {
        "coauthor_enabled",
        "custom_agents_local_only",
        "included_builtin_skills",
        "manage_schedule_enabled",
        "skip_custom_instructions",
    }
)
"""Those of `_LEAN` that the SDK sets by a second request, once the session is open."""


class RuntimeClient:
    """Owns the SDK's client and the runtime's process; `archive` has the stored sessions, `account` the login.

    Parameters
    ----------
    settings : CopilotNB
        Where the runtime is, where it keeps sessions, whether it may use the network.
    route : callable
        Returns the transport of the model requests to a host.
    is_busy : callable
        Whether a turn is under way; only then is the runtime watched.
    on_lost : callable
        Called with the reason when the runtime died or hung; every connection is void by then.
    on_activity : callable, optional
        Called with a session's id whenever its model sends something; see `Router`.
    """

    def __init__(
        self,
        settings: CopilotNB,
        route: Callable[[str], httpx.AsyncBaseTransport],
        is_busy: Callable[[], bool],
        on_lost: Callable[[str], None],
        on_activity: Callable[[str], None] = lambda _session_id: None,
    ) -> None:
        self._settings = settings
        self._route = route
        self._is_busy = is_busy
        self._on_lost = on_lost
        self._on_activity = on_activity
        self._home = settings.home
        self._folder = ""
        self.archive = Archive(self.ready, lambda: self._home_folder)
        self.account = Account(self.ready, lambda: self._home_folder, self._misses_login)
        self._client: CopilotClient | None = None
        self._starting = asyncio.Lock()
        self._none_is_ending = asyncio.Event()
        self._none_is_ending.set()
        self._watcher: asyncio.Task[None] | None = None
        self._failure: RuntimeUnavailable | None = None
        self._failed_s = 0.0
        self._is_stopped = False
        self._finds_logins = False

    @functools.cached_property
    def _home_folder(self) -> Path:
        return expanded(self._home)

    @property
    def is_running(self) -> bool:
        """Whether a runtime was started and still runs, as far as is known."""
        return self._client is not None

    @property
    def process_id(self) -> int:
        """The id of the runtime's process; 0 if there is none."""
        return process_id(self._client) if self._client is not None else 0

    async def ready(self) -> CopilotClient:
        """Return the connected client; start it if necessary, and replace it if it no longer answers.

        It is also replaced, unless a turn is under way, where a login has come since it was started without one.

        Raises
        ------
        RuntimeUnavailable
            If there is no runtime or it cannot be started, or `stop` was called.
        """
        async with self._starting:
            if self._is_stopped:  # by a restart: a caller that still has this client must not start a second runtime
                raise RuntimeUnavailable("the Copilot runtime was restarted meanwhile", "run it again")
            if self._client is not None and has_ended(self._client):
                await self._lose(self._client, GONE)
            if self._client is not None and self._misses_login() and not self._is_busy():
                reason = "there is a Copilot login now, for which the Copilot runtime did not look"
                await self._lose(self._client, reason, is_well=True)  # so that it writes its logs
            if self._client is None:
                self._client = await self._start_or_wait()
                self._watcher = asyncio.create_task(self._watch(self._client))
            return self._client

    def _misses_login(self) -> bool:
        return not self._finds_logins and may_find_login(self._home_folder)

    async def _start_or_wait(self) -> CopilotClient:
        """Start the runtime; if that has just failed, all waiting callers get that error instead of trying again."""
        await self._none_is_ending.wait()  # a lost one has its sessions open until it is gone
        now_s = asyncio.get_running_loop().time()
        if self._failure is not None and now_s < self._failed_s + START_BACKOFF_S:
            raise self._failure
        try:
            client = await self._start()
        except RuntimeUnavailable as error:
            self._failure, self._failed_s = error, asyncio.get_running_loop().time()
            raise
        self._failure = None
        return client

    async def _start(self) -> CopilotClient:
        location, home = find_runtime(self._settings.runtime_path), require_home(self._home)
        self._folder = str(_current_folder() or home)
        self._finds_logins = may_find_login(home)
        client = CopilotClient(
            connection=own_session(str(location.path)),
            env=self._environment(),
            base_directory=str(home),
            working_directory=self._folder,
            request_handler=Router(self._route, self._on_activity),
            log_level="error",
            client_info={"application_name": CLIENT_NAME},
            use_logged_in_user=self._finds_logins,
        )
        try:
            async with translated(f"starting {location.path} ({location.source})", hint="see %copilot doctor"):
                await client.start()
        except BaseException:
            await end(client, client.force_stop())
            raise
        hold_pipes(client)
        return client

    def _environment(self) -> dict[str, str]:
        # A provider that the runtime's own variables name is served by the kernel like any other, key and all.
        others = {
            name: value for name, value in os.environ.items() if not name.startswith(("COPILOT_OFFLINE", OWN_PROVIDER))
        }
        keys = [provider.get("api_key_env", "") for provider in self._settings.providers.values()]
        addresses = [name for name, _ in named_secrets(others) if not name.lower().endswith("_proxy")]
        environment = without_keys(others, named=[*keys, *addresses], kept=LOGIN_TOKENS)
        environment["COPILOT_AUTO_UPDATE"] = "false"
        if self._settings.offline:
            # The runtime's offline mode refuses to start without a provider of its own; ours are named per session.
            environment["COPILOT_OFFLINE"] = "true"
            environment["COPILOT_PROVIDER_BASE_URL"] = "http://127.0.0.1:9/v1"
            environment.setdefault("COPILOT_MODEL", "none")
        return environment

    async def _check(self, client: CopilotClient) -> None:
        try:
            await asyncio.wait_for(client.ping(), PING_TIMEOUT_S)
        except TimeoutError:
            await self._lose(client, "the Copilot runtime no longer answers")
        except SDK_ERRORS:
            await self._lose(client, GONE)

    async def _watch(self, client: CopilotClient) -> None:
        while self._client is client:
            await asyncio.sleep(PING_EVERY_S)
            if self._is_busy():
                await self._check(client)

    async def _lose(self, client: CopilotClient, reason: str, *, is_well: bool = False) -> None:
        """Stop the runtime, by force unless it `is_well`; the next use starts another one."""
        if self._client is not client:
            return
        self._client = None
        log.warning("%s; it is started again at the next use", reason)
        self._none_is_ending.clear()
        self._on_lost(reason)
        try:
            await (_stopped(client) if is_well else end(client, client.force_stop()))
        finally:
            self._none_is_ending.set()

    async def stop(self) -> None:
        """Stop the runtime for good: gracefully, by force after `STOP_TIMEOUT_S`; one that starts is waited for."""
        async with self._starting:
            self._is_stopped = True
            client, self._client = self._client, None
        if self._watcher is not None:
            self._watcher.cancel()
        if client is not None:
            await _stopped(client)

    async def open(
        self,
        session_id: str,
        endpoint: Endpoint,
        system: str,
        on_change: Callable[[Change], None],
        on_fault: Callable[[Exception], None],
        *,
        host: ToolHost,
        toolkit: Toolkit,
        title: str | None = None,
        is_temporary: bool = False,
    ) -> Connection:
        """Load a session: create it if `title` is given, else resume it. A temporary one has no tools, and costs less.

        The caller must know which: the SDK's `create_session` over an id that is on disk mixes two histories
        without an error.
        """
        client = await self.ready()
        tools = SessionTools(host, toolkit, self._folder)
        options = {**_LEAN, **endpoint.options, **tools.options()}
        if is_temporary:
            options = _for_one_conversation(options)
        options["system_message"] = {"mode": "replace", "content": system}
        if endpoint.model:
            options["model"] = endpoint.model
        self.archive.opened.add(session_id)
        async with translated(f"opening session {session_id}"):
            if title is None:
                session = await client.resume_session(session_id, **options)
            else:
                session = await client.create_session(session_id=session_id, name=title, **options)
        return Connection(client, session, on_change, on_fault, tools)

    async def is_logged_in(self) -> bool:
        """Whether the runtime finds a Copilot login."""
        client = await self.ready()
        async with translated("asking for the login"):
            return bool((await client.get_auth_status()).isAuthenticated)


def _for_one_conversation(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a session without tools that is deleted after its only conversation.

    It has no workspace: one file on disk instead of seven. A conversation that is too long for its model is compacted
    while its prompt waits, not in the background. Nor does it need the second request of `_SET_AFTERWARDS`: its prompts
    are the same, and it asks GitHub for nothing more. With one turn, all this saves the runtime a
    seventh of its processor time.
    """
    needed = {name: value for name, value in options.items() if name not in _SET_AFTERWARDS}
    return {**needed, "infinite_sessions": {"enabled": False}}


async def _stopped(client: CopilotClient) -> None:
    """Stop a runtime: gracefully, by force after `STOP_TIMEOUT_S`."""
    try:
        await end(client, asyncio.wait_for(client.stop(), STOP_TIMEOUT_S))
    except* (TimeoutError, StopError, *SDK_ERRORS):
        log.info("the Copilot runtime did not stop by itself; ending it", exc_info=True)
        await end(client, client.force_stop())


def _current_folder() -> Path | None:
    """Return the current folder; None if it has been deleted, since the SDK would not start the runtime there."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return None
