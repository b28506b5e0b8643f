"""Manages the sessions of this kernel: opens, creates, resumes, lists, searches and deletes them.

copilot_nb has no session store of its own. The facts about a session in addition to its history (name, model, provider,
system message, notebook) are stored in the runtime's metadata of that session, under `PREFIX`. A session without these
entries belongs to another program and is not listed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Unpack

from copilot_nb.errors import CopilotNBError, InputError
from copilot_nb.named_sessions.engine import Engine
from copilot_nb.named_sessions.events import EventBus
from copilot_nb.named_sessions.limits import check_prompt
from copilot_nb.named_sessions.listing import SessionList, listed, merged
from copilot_nb.named_sessions.metadata import StoredSession
from copilot_nb.named_sessions.names import check_id, check_name
from copilot_nb.named_sessions.open_sessions import OpenSessions
from copilot_nb.named_sessions.options import Opening, OptionValues, SessionOptions
from copilot_nb.named_sessions.prompt_plan import plan_prompt
from copilot_nb.named_sessions.search import SearchResults, search
from copilot_nb.named_sessions.send_plan import SendPlan, refused_names
from copilot_nb.named_sessions.session import Event, Session, home_of, state_of
from copilot_nb.named_sessions.usage import UsageReport
from copilot_nb.named_sessions.users import for_user

if TYPE_CHECKING:
    from copilot_nb.agent.describe import Describer
    from copilot_nb.conversation.parts import Image
    from copilot_nb.named_sessions.approvals import Approvals
    from copilot_nb.named_sessions.attach import Attachable
    from copilot_nb.named_sessions.selector import ModelSelector
    from copilot_nb.named_sessions.state import SessionState
    from copilot_nb.named_sessions.toolbox import ToolBox
    from copilot_nb.providers.registry import Providers
    from copilot_nb.runtime.client import RuntimeClient
    from copilot_nb.runtime.loop import LoopThread
    from copilot_nb.settings import CopilotNB

COMPLETION_TIMEOUT_S = 1.0


class Manager:
    """The sessions of this kernel and the runtime they share.

    Parameters
    ----------
    settings : CopilotNB
        The defaults of new sessions, and the locations of the runtime and its home.

    Attributes
    ----------
    engine : Engine
        The engine that runs the sessions.
    open_sessions : OpenSessions
        The sessions by name.
    events : EventBus of Event
        Sends the events of the sessions to observers.
    """

    def __init__(self, settings: CopilotNB) -> None:
        self.engine = Engine(settings, lambda: [state_of(session) for session in self.open_sessions])
        self.open_sessions = OpenSessions(self.engine, self)
        self.events: EventBus[Event] = EventBus(self.engine.loop)
        settings.equip(self)

    @property
    def settings(self) -> CopilotNB:
        """The settings of its sessions."""
        return self.engine.settings

    @property
    def loop(self) -> LoopThread:
        """The event loop thread on which all coroutines run."""
        return self.engine.loop

    @property
    def providers(self) -> Providers:
        """The model providers."""
        return self.engine.providers

    @property
    def selector(self) -> ModelSelector:
        """Selects the provider and the model of a session."""
        return self.engine.selector

    @property
    def approvals(self) -> Approvals:
        """The requests for permission of its sessions."""
        return self.engine.approvals

    @property
    def toolbox(self) -> ToolBox:
        """The tools that its sessions may have."""
        return self.engine.toolbox

    @property
    def notebook(self) -> str:
        """The path of the notebook this kernel runs; ``""`` if the front end does not report it."""
        return self.engine.notebook

    def hide_secrets(self, text: str) -> str:
        """Return `text`, which the user did not type, without secrets (see `Engine.hide_secrets`)."""
        return self.engine.hide_secrets(text)

    def describer(self) -> Describer:
        """Return what describes values without secrets (see `Engine.describer`)."""
        return self.engine.describer()

    async def client(self) -> RuntimeClient:
        """Return the runtime's client, connected (see `Engine.client`)."""
        return await self.engine.client()

    @property
    def running_client(self) -> RuntimeClient | None:
        """The runtime's client if the runtime is running, else ``None``."""
        return self.engine.running_client

    def warm_up(self) -> None:
        """Import the SDK, start the runtime and load the embedded model, in the background."""
        self.engine.warm_up()

    def account_changed(self) -> None:
        """Discard the cached login and the account's models; both are requested again at the next use."""
        self.engine.account_changed()

    def restart(self) -> None:
        """Stop the runtime; it starts again at the next use. Running turns are interrupted."""
        self.engine.restart()

    def close(self) -> None:
        """Stop everything this object started and cancel the queued prompts; the object can be used again."""
        self.engine.close()

    def tell(self, event: Event) -> None:
        """Send an event to the observers, from any thread."""
        self.events.tell(event)

    async def rename(self, state: SessionState, name: str) -> None:
        """Rename a session."""
        await self.open_sessions.rename(state, name)

    async def fork(self, state: SessionState, name: str | None, at: int | str | None) -> Session:
        """Copy a session, or its first `at` turns, and return the new session."""
        return await self.open_sessions.fork(state, name, at)

    async def discard(self, session: Session) -> None:
        """Delete a session of this kernel and its history irreversibly; a running turn is stopped first."""
        await self.open_sessions.discard(session)

    def __iter__(self) -> Iterator[Session]:
        return iter(self.open_sessions)

    def reopen(self, session: Session) -> Session:
        """Return `session`; if it is gone, the session that took its name; else a new one with the same options.

        Raises
        ------
        InputError
            If another user has a session of that name.
        """
        return self.loop.blocking(self.open_sessions.reopen(session)) if state_of(session).is_gone else session

    def check_prompt(self, prompt: str, images: Sequence[Image] = ()) -> None:
        """Check a prompt before it is used (see `limits.check_prompt`)."""
        check_prompt(prompt, images, self.settings.max_prompt_bytes)

    def plan(
        self,
        prompt: str,
        targets: Mapping[str, SessionOptions],
        opening: Opening,
        *,
        may_create: bool,
        attach: Attachable = (),
        schema: object = None,
    ) -> SendPlan:
        """Return the plan to send a prompt to sessions, which are opened or created when it is sent.

        Parameters
        ----------
        prompt : str
            The prompt; `attach` and `schema` are those of `Session.send`.
        targets : mapping of str to SessionOptions
            The names of the sessions, and the options that the prompt sets for each.
        opening : Opening
            How to open them.
        may_create : bool
            Whether a session that does not exist is created.

        Raises
        ------
        InputError
            If the prompt, an attachment or the schema cannot be used, a session must not be created, or `opening`
            names one id for several sessions.
        """
        planned = plan_prompt(self.engine, prompt, attach, schema)
        if opening.session_id and len(targets) > 1:
            raise InputError("--id names one session, not several", "leave --id out")
        if not may_create and (new := self.unknown(list(targets))):
            raise refused_names(list(targets), new)
        return SendPlan(planned, targets, lambda name, options: self.open(name, options, opening))

    def known(self) -> list[StoredSession]:
        """Return this kernel's sessions and the stored ones, each once."""
        return self._with_own(self.stored())

    def _with_own(self, stored: Sequence[StoredSession]) -> list[StoredSession]:
        return merged(stored, map(state_of, self), counts=lambda _: True, is_fresh=True)

    def names(self) -> list[str]:
        """Return the session names for completion: this kernel's and, if the runtime is running, the stored ones."""
        stored: list[StoredSession] = []
        if self.running_client is not None:
            with suppress(CopilotNBError, TimeoutError):
                stored = self.loop.blocking(self.engine.stored_sessions.listing(), COMPLETION_TIMEOUT_S)
        return list(dict.fromkeys(each.name for each in self._with_own(stored)))

    def unknown(self, names: Sequence[str]) -> list[str]:
        """Return those of `names` that are not the name of a session, in this kernel or stored."""
        return self.loop.blocking(self.open_sessions.unknown(names))

    def default_choice(self) -> tuple[str, str]:
        """Return the provider and the model of a new session; the model is ``""`` for the provider's default.

        Raises
        ------
        RuntimeUnavailable
            If the Copilot runtime cannot be started.
        ProviderError
            If no provider is available.
        """
        chosen = self.loop.blocking(self.selector.for_new(SessionOptions()))
        return chosen.provider, chosen.model

    def session(
        self,
        name: str,
        *,
        session_id: str = "",
        new: bool = False,
        take_over: bool = False,
        user: str = "",
        **options: Unpack[OptionValues],
    ) -> Session:
        """Return the session called `name`: this kernel's, else a stored one, else a new one.

        A new session is stored with its first prompt. The parameters are those of `copilot_nb.session`.
        """
        opening = Opening(session_id=session_id, new=new, take_over=take_over, user=user)
        return self.open(name, SessionOptions(**options), opening)

    def open(self, name: str, options: SessionOptions, opening: Opening) -> Session:
        """Return the session called `name`, like `session`."""
        user, name = for_user(name, opening.user, self.settings.user_template)
        if opening.session_id:
            check_id(opening.session_id)
        expanded = self.selector.expanded(options)
        return self.loop.blocking(self.open_sessions.open(name, expanded, dataclasses.replace(opening, user=user)))

    def stored(self, limit: int | None = None) -> list[StoredSession]:
        """Return the stored sessions that copilot_nb created, at most `limit` of them, most recently used first."""
        return self.loop.blocking(self.engine.stored_sessions.listing(limit))

    def sessions(self, limit: int | None = None, *, everything: bool = False) -> SessionList:
        """Return the stored sessions with their states, as a list that renders.

        Parameters
        ----------
        limit : int, optional
            The maximum number of sessions.
        everything : bool
            Whether to include the user's other Copilot sessions.
        """
        return self.loop.blocking(listed(self.engine, [state_of(each) for each in self], limit, everything=everything))

    def usage(self, names: Sequence[str] = ()) -> UsageReport:
        """Return the usage of sessions; without names, of this kernel's sessions."""
        sessions = [self.existing(name) for name in names] or list(self)
        return UsageReport(session.usage for session in sessions)

    def search(self, text: str) -> SearchResults:
        """Search the prompts and answers of all stored sessions for `text`, ignoring case."""
        return self.loop.blocking(search(self.engine, text))

    def existing(self, name: str, user: str = "") -> Session:
        """Return the session called `name`: this kernel's, else a stored one.

        Raises
        ------
        InputError
            If it belongs to another user.
        SessionNotFound
            If there is no such session.
        """
        user, name = for_user(name, user, self.settings.user_template)
        return self.loop.blocking(self.open_sessions.find_stored(name, user))

    def create(self, name: str, **options: Unpack[OptionValues]) -> Session:
        """Create a session called `name`, store it without sending a prompt, and return it.

        Raises
        ------
        InputError
            If a session of that name exists.
        """
        self.loop.blocking(self.open_sessions.check_free(check_name(name)))
        session = self.session(name, **options)
        session.create()
        return session

    def delete(self, name: str, user: str = "") -> None:
        """Delete a session and its history irreversibly; a running turn is stopped first.

        Raises
        ------
        SessionNotFound
            If there is no session of that name, or it belongs to another user.
        SessionInUse
            If another process has the session open.
        """
        user, name = for_user(name, user, self.settings.user_template)
        self.loop.blocking(self.open_sessions.delete(name, user))


def manager_of(session: Session) -> Manager:
    """Return the manager of a session."""
    home = home_of(session)
    assert isinstance(home, Manager)
    return home
