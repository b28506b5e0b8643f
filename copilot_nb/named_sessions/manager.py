"""All sessions of this kernel: names to sessions, create or resume, list, delete.

There is no registry of ours. What belongs to a session beyond its history (its name, model, provider, system
message, notebook) is kept in the runtime's own metadata of that session, under `PREFIX`; a session
of the runtime without it is somebody else's and is not listed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Unpack

from copilot_nb.errors import CopilotNBError
from copilot_nb.named_sessions.engine import Engine
from copilot_nb.named_sessions.events import EventBus
from copilot_nb.named_sessions.limits import check_prompt
from copilot_nb.named_sessions.listing import SessionList, listed
from copilot_nb.named_sessions.metadata import StoredSession
from copilot_nb.named_sessions.names import check_id, check_name
from copilot_nb.named_sessions.options import Opening, OptionValues, SessionOptions
from copilot_nb.named_sessions.registry import SessionRegistry
from copilot_nb.named_sessions.search import SearchResults, search
from copilot_nb.named_sessions.session import Event, Session, home_of, state_of
from copilot_nb.named_sessions.usage import UsageReport
from copilot_nb.named_sessions.users import for_user

if TYPE_CHECKING:
    from copilot_nb.conversation.parts import Image
    from copilot_nb.named_sessions.selector import ModelSelector
    from copilot_nb.named_sessions.state import SessionState
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
        Defaults of new sessions, and where the runtime and its home are.

    Attributes
    ----------
    engine : Engine
        What the sessions run on.
    registry : SessionRegistry
        The sessions by name.
    events : EventBus of Event
        Tells what happens to them.
    """

    def __init__(self, settings: CopilotNB) -> None:
        self.engine = Engine(settings, lambda: [state_of(session) for session in self.registry])
        self.registry = SessionRegistry(self.engine, self)
        self.events: EventBus[Event] = EventBus(self.engine.loop)

    @property
    def settings(self) -> CopilotNB:
        """The settings of its sessions."""
        return self.engine.settings

    @property
    def loop(self) -> LoopThread:
        """Where all coroutines run."""
        return self.engine.loop

    @property
    def providers(self) -> Providers:
        """Where answers come from."""
        return self.engine.providers

    @property
    def selector(self) -> ModelSelector:
        """Chooses a provider and a model."""
        return self.engine.selector

    @property
    def notebook(self) -> str:
        """The path of the notebook this kernel runs, as far as the front end tells it."""
        return self.engine.notebook

    def hide_secrets(self, text: str) -> str:
        """Return a text that the user did not type as a model may see it."""
        return self.engine.hide_secrets(text)

    async def client(self) -> RuntimeClient:
        """Return the runtime's client, connected (see `Engine.client`)."""
        return await self.engine.client()

    @property
    def running_client(self) -> RuntimeClient | None:
        """The runtime's client if it is running."""
        return self.engine.running_client

    def warm_up(self) -> None:
        """Begin to import the SDK, start the runtime and load the embedded model, in the background."""
        self.engine.warm_up()

    def account_changed(self) -> None:
        """Ask for the login, and for what its account may use, when it next matters."""
        self.engine.account_changed()

    def restart(self) -> None:
        """Stop the runtime; it is started again at the next use. Turns under way are interrupted."""
        self.engine.restart()

    def close(self) -> None:
        """Stop everything this object started, and withdraw the prompts that wait; it can be used again."""
        self.engine.close()

    def tell(self, event: Event) -> None:
        """Tell the observers what happened (from any thread)."""
        self.events.tell(event)

    async def rename(self, state: SessionState, name: str) -> None:
        """Give a session another name."""
        await self.registry.rename(state, name)

    async def fork(self, state: SessionState, name: str | None, at: int | None) -> Session:
        """Return a copy of a session."""
        return await self.registry.fork(state, name, at)

    def __iter__(self) -> Iterator[Session]:
        return iter(self.registry)

    def reopen(self, session: Session) -> Session:
        """Return `session` or, if it is gone, the one that took its name; else a new one with the same options.

        Raises
        ------
        InputError
            If another user has a session of that name.
        """
        return self.loop.blocking(self.registry.reopen(session)) if state_of(session).is_gone else session

    def check_prompt(self, prompt: str, images: Sequence[Image] = ()) -> None:
        """Check a prompt before anything is done for it (see `limits.check_prompt`)."""
        check_prompt(prompt, images, self.settings.max_prompt_bytes)

    def names(self) -> list[str]:
        """Return the names to complete: this kernel's and, without starting the runtime for it, the stored ones."""
        names = [session.name for session in self.registry]
        if self.running_client is not None:
            with suppress(CopilotNBError, TimeoutError):
                names += [
                    stored.name for stored in self.loop.blocking(self.engine.repository.listing(), COMPLETION_TIMEOUT_S)
                ]
        return list(dict.fromkeys(names))

    def unknown(self, names: Sequence[str]) -> list[str]:
        """Return those of `names` that no session has, here or stored."""
        return self.loop.blocking(self.registry.unknown(names))

    def default_choice(self) -> tuple[str, str]:
        """Return the provider and the model (``""``: its default one) that answer a new session.

        Raises
        ------
        RuntimeUnavailable
            If the Copilot runtime cannot be started.
        ProviderError
            If there is none.
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
        """Return the session called `name`: this kernel's, else one stored before, else a new one.

        A new session is stored by its first prompt. The parameters are those of `copilot_nb.session`.
        """
        opening = Opening(session_id=session_id, new=new, take_over=take_over, user=user)
        return self.open(name, SessionOptions(**options), opening)

    def open(self, name: str, options: SessionOptions, opening: Opening) -> Session:
        """Return the session called `name`, as `session` does."""
        user, name = for_user(name, opening.user, self.settings.user_template)
        if opening.session_id:
            check_id(opening.session_id)
        expanded = self.selector.expanded(options)
        return self.loop.blocking(self.registry.open(name, expanded, dataclasses.replace(opening, user=user)))

    def stored(self, limit: int | None = None) -> list[StoredSession]:
        """Return the stored sessions that copilot_nb made, or `limit` of them, the one last changed first."""
        return self.loop.blocking(self.engine.repository.listing(limit))

    def sessions(self, limit: int | None = None, *, everything: bool = False) -> SessionList:
        """Return the stored sessions as a list that renders, with what each does.

        Parameters
        ----------
        limit : int, optional
            No more than so many.
        everything : bool
            The user's other Copilot sessions too.
        """
        return self.loop.blocking(listed(self.engine, [state_of(each) for each in self], limit, everything=everything))

    def usage(self, names: Sequence[str] = ()) -> UsageReport:
        """Return what sessions took; without names: those of this kernel."""
        sessions = [self.existing(name) for name in names] or list(self)
        return UsageReport(session.usage for session in sessions)

    def search(self, text: str) -> SearchResults:
        """Return where `text` occurs in the prompts and answers of all stored sessions."""
        return self.loop.blocking(search(self.engine, text))

    def existing(self, name: str, user: str = "") -> Session:
        """Return the session called `name`: this kernel's, else one stored before.

        Raises
        ------
        InputError
            If it is not that user's.
        SessionNotFound
            If there is none.
        """
        user, name = for_user(name, user, self.settings.user_template)
        return self.loop.blocking(self.registry.find_stored(name, user))

    def create(self, name: str, **options: Unpack[OptionValues]) -> Session:
        """Return a new session called `name`, which is stored without being asked anything.

        Raises
        ------
        InputError
            If there is a session of that name.
        """
        self.loop.blocking(self.registry.check_free(check_name(name)))
        session = self.session(name, **options)
        session.create()
        return session

    def delete(self, name: str, user: str = "") -> None:
        """Delete a session and its history, irreversibly; a turn under way is stopped first.

        Raises
        ------
        SessionNotFound
            If there is none of that name, or it is not that user's.
        SessionInUse
            If another process has it open.
        """
        user, name = for_user(name, user, self.settings.user_template)
        self.loop.blocking(self.registry.delete(name, user))


def manager_of(session: Session) -> Manager:
    """Return the manager that made a session."""
    home = home_of(session)
    assert isinstance(home, Manager)
    return home
