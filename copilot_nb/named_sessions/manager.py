"""All sessions of this kernel: names to sessions, create or resume, list, delete.

There is no registry of ours. What belongs to a session beyond its history (its name, model, provider, system
message, notebook) is kept in the runtime's own metadata of that session, under `PREFIX`; a session
of the runtime without it is somebody else's and is not listed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from copilot_nb.conversation.prompt import sendable
from copilot_nb.errors import CopilotNBError, InputError
from copilot_nb.frontend import notebook_name, running_shell
from copilot_nb.named_sessions.elsewhere import in_use
from copilot_nb.named_sessions.engine import Engine
from copilot_nb.named_sessions.listing import SessionList, listed
from copilot_nb.named_sessions.metadata import StoredSession, annotation
from copilot_nb.named_sessions.names import check_id, check_name, title_for
from copilot_nb.named_sessions.options import Opening, OptionValues, SessionOptions
from copilot_nb.named_sessions.registry import SessionRegistry
from copilot_nb.named_sessions.repository import SessionRepository
from copilot_nb.named_sessions.search import SearchResults, search
from copilot_nb.named_sessions.session import Session
from copilot_nb.named_sessions.usage import UsageReport
from copilot_nb.named_sessions.users import check_user, name_for

if TYPE_CHECKING:
    from copilot_nb.conversation.parts import Image
    from copilot_nb.runtime.connection import Connection
    from copilot_nb.settings import CopilotNB

COMPLETION_TIMEOUT_S = 1.0


class Manager(Engine):
    """The sessions of this kernel and the runtime they share.

    Parameters
    ----------
    settings : CopilotNB
        Defaults of new sessions, and where the runtime and its home are.
    """

    def __init__(self, settings: CopilotNB) -> None:
        super().__init__(settings)
        self.repository = SessionRepository(self.client)
        self.registry = SessionRegistry(self)

    @property
    def notebook(self) -> str:
        """The path of the notebook this kernel runs, as far as the front end tells it."""
        shell = running_shell()
        return notebook_name(shell) if shell is not None else ""

    def turn_error(self, message: str, session: Session) -> CopilotNBError:
        """Return the error of a turn that the runtime reported as failed with `message`."""
        return self.providers.error(session.provider, session.session_id, message, session.model)

    def __iter__(self) -> Iterator[Session]:
        return iter(self.registry)

    def reopen(self, session: Session) -> Session:
        """Return `session` or, if it is gone, the one that took its name; else a new one with the same options.

        Raises
        ------
        InputError
            If another user has a session of that name.
        """
        return self.loop.blocking(self.registry.reopen(session)) if session.is_gone else session

    def check_prompt(self, prompt: str, images: Sequence[Image] = ()) -> None:
        """Check a prompt before anything is done for it.

        Raises
        ------
        InputError
            If it is empty, without an image that says it all, larger than the setting `max_prompt_bytes`, or if it
            holds half a character.
        """
        prompt = sendable(prompt, "the prompt")
        limit = self.settings.max_prompt_bytes
        if not prompt.strip() and not images:
            raise InputError("the prompt is empty", "write it below %%copilot NAME, or after %copilot ask NAME")
        if (size := len(prompt.encode())) > limit:
            raise InputError(
                f"the prompt has {size:,} bytes, {limit:,} are allowed",
                "send less, or raise it: %config CopilotNB.max_prompt_bytes = …",
            )

    def names(self) -> list[str]:
        """Return the names to complete: this kernel's and, without starting the runtime for it, the stored ones."""
        names = [session.name for session in self.registry]
        if self.running_client is not None:
            with suppress(CopilotNBError, TimeoutError):
                names += [stored.name for stored in self.loop.blocking(self.repository.listing(), COMPLETION_TIMEOUT_S)]
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
        user, name = self.for_user(name, opening.user)
        if opening.session_id:
            check_id(opening.session_id)
        expanded = self.selector.expanded(options)
        return self.loop.blocking(self.registry.open(name, expanded, dataclasses.replace(opening, user=user)))

    async def attach(self, session: Session, *, exists: bool) -> Connection:
        """Load a session into the runtime.

        Raises
        ------
        SessionInUse
            If another process has it open.
        """
        client, options = await self.client(), session.options
        endpoint = self.providers[options.provider].endpoint(options.model)
        session.loading_note = endpoint.note
        if exists and await client.archive.is_in_use(session.session_id):
            raise await in_use(session)
        title = None if exists else title_for(session.name)
        if exists:
            missing = session.runner.remember((await client.archive.last_turns(session.session_id, 1)).turns)
            session.turns_stored = await client.archive.count_turns(session.session_id) + missing
        connection = await client.open(
            session.session_id,
            endpoint.with_effort(options.effort or "").with_context(options.context or ""),
            options.system or "",
            session.runner.on_change,
            session.runner.on_fault,
            title=title,
        )
        try:
            await connection.annotate(annotation(session, self.notebook))
        except CopilotNBError:
            if not exists:
                await client.archive.delete(session.session_id)
            raise
        return connection

    def stored(self, limit: int | None = None) -> list[StoredSession]:
        """Return the stored sessions that copilot_nb made, or `limit` of them, the one last changed first."""
        return self.loop.blocking(self.repository.listing(limit))

    def sessions(self, limit: int | None = None, *, everything: bool = False) -> SessionList:
        """Return the stored sessions as a list that renders, with what each does.

        Parameters
        ----------
        limit : int, optional
            No more than so many.
        everything : bool
            The user's other Copilot sessions too.
        """
        return self.loop.blocking(listed(self, limit, everything=everything))

    def usage(self, names: Sequence[str] = ()) -> UsageReport:
        """Return what sessions took; without names: those of this kernel."""
        sessions = [self.existing(name) for name in names] or list(self)
        return UsageReport(session.usage for session in sessions)

    def search(self, text: str) -> SearchResults:
        """Return where `text` occurs in the prompts and answers of all stored sessions."""
        return self.loop.blocking(search(self, text))

    def import_conversation(self, path: str | Path, name: str = "") -> Session:
        """Make a session of a conversation that was exported as `.json`."""
        from copilot_nb.named_sessions.formats.import_replay import import_session

        return import_session(self, path, name)

    def existing(self, name: str) -> Session:
        """Return the session called `name`: this kernel's, else one stored before.

        Raises
        ------
        SessionNotFound
            If there is none.
        """
        return self.loop.blocking(self.registry.find_stored(check_name(name)))

    def for_user(self, name: str, user: str) -> tuple[str, str]:
        """Return a user and the name of what they call `name`, both as they are stored; ``""``: no user.

        Raises
        ------
        InputError
            If one of them cannot be used.
        """
        if not user:
            return "", check_name(name)
        return check_user(user), check_name(name_for(name, user, self.settings.user_template))

    def delete(self, name: str, user: str = "") -> None:
        """Delete a session and its history, irreversibly; a turn under way is stopped first.

        Raises
        ------
        SessionNotFound
            If there is none of that name, or it is not that user's.
        SessionInUse
            If another process has it open.
        """
        user, name = self.for_user(name, user)
        self.loop.blocking(self.registry.delete(name, user))
