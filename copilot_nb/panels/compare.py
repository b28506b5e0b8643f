"""The comparison panel: one prompt to several sessions, their answers side by side, and a vote.

Answers are shown as they stream: the page receives the fields of `deltas`, and of a blind round only those that
`compare_view` permits. In a blind comparison the page receives neither the list of names nor the count of wins before
the first vote. The sessions store the rounds and votes (`round_store`), so a new panel, also after a restart of the
kernel, continues where the last one ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from copilot_nb.conversation.prompt import require_text
from copilot_nb.errors import InputError
from copilot_nb.experiments import rounds
from copilot_nb.experiments.arena import Arena
from copilot_nb.experiments.rounds import Round
from copilot_nb.experiments.targets import Target, one_each
from copilot_nb.named_sessions.api import shared_manager
from copilot_nb.named_sessions.session import Session
from copilot_nb.panels import compare_view
from copilot_nb.panels.approvals import Asks
from copilot_nb.panels.base import Message
from copilot_nb.panels.deltas import Fields
from copilot_nb.panels.rounds_panel import RoundsPanel
from copilot_nb.panels.static_output import Static
from copilot_nb.render.escape import well_formed
from copilot_nb.render.words import count

if TYPE_CHECKING:
    from copilot_nb.named_sessions.approvals import ApprovalRequest
    from copilot_nb.named_sessions.manager import Manager
    from copilot_nb.named_sessions.session import Event
    from copilot_nb.render.table import Table

LEAST = 2
"""The fewest sessions that can be compared (count)."""


class ComparePanel(RoundsPanel):
    """One prompt to several sessions, the answers side by side, and a vote on each round.

    Parameters
    ----------
    sessions : sequence of str or Session
        Two or more sessions or their names, unless `models` or `providers` are given.
    models : sequence of str, optional
        Models to compare, each in its own session called ``NAME@MODEL``.
    providers : sequence of str, optional
        Providers to compare instead, each in its own session called ``NAME@PROVIDER``.
    name : str, default "compare"
        The first part of those names.
    model, provider : str, optional
        The model for all `providers`; the provider of all `models`. ``""``: the default.
    blind : bool, default False
        Hide which session gave each answer until the vote.

    Raises
    ------
    InputError
        If there are fewer than two sessions, or both models and providers are listed.

    Examples
    --------
    >>> panel = ComparePanel(models=["gpt-5", "claude-sonnet-4.5"], name="test", blind=True)  # doctest: +SKIP
    >>> panel.to_frame()  # doctest: +SKIP
    """

    _asks: Asks

    def __init__(
        self,
        sessions: Sequence[str | Session] = (),
        *,
        models: Sequence[str] = (),
        providers: Sequence[str] = (),
        name: str = "compare",
        model: str = "",
        provider: str = "",
        blind: bool = False,
        manager: Manager | None = None,
    ) -> None:
        manager = manager or shared_manager()
        listed = one_each(name, models=models, providers=providers, model=model, provider=provider)
        self._arena = Arena(manager, _opened(manager, sessions, listed, provider), blind=blind)
        self._is_blind = blind
        self._asks = Asks(manager.approvals, self._concerns, hides_names=lambda: self._hides_names(self._arena.rounds))
        super().__init__(manager, self._arena)

    def __repr__(self) -> str:
        return f"<ComparePanel: {count(len(self.sessions), 'session')}, {count(len(self._arena.rounds), 'round')}>"

    @property
    def sessions(self) -> tuple[Session, ...]:
        """The compared sessions."""
        return self._arena.sessions

    @property
    def summary(self) -> Table:
        """How often each session won."""
        return rounds.summary(self._arena.rounds, self._arena.sessions)

    @property
    def blind(self) -> bool:
        """Whether the next rounds hide names until the vote."""
        return self._is_blind

    @blind.setter
    def blind(self, blind: bool) -> None:
        self._is_blind = bool(blind)
        self.mark()

    def ask(self, prompt: str) -> Round:
        """Send a prompt to all sessions and return the round without waiting for the answers.

        Raises
        ------
        InputError
            If the prompt cannot be used, a session was deleted, or the previous round is still being answered.
        """
        asked = self._arena.ask(prompt, blind=self._is_blind)
        self.mark()
        return asked

    def retry(self, number: int, column: int) -> Round:
        """Ask one session of the last round again, in place of its answer; return the round without waiting.

        Parameters
        ----------
        number : int
            Of the round, counted from 1.
        column : int
            Of the answer, counted from 1.

        Raises
        ------
        InputError
            If it is not the last round, it has been voted on, the answer is incomplete, or the session has later turns.
        """
        asked = self._arena.retry(number, column)
        self.mark()
        return asked

    def stop(self) -> None:
        """Stop the running answers; the text so far is kept."""
        self._arena.stop()

    def _note(self) -> str:
        return self._arena.earlier_turns.note

    def _unshared(self, first: int, last: int) -> dict[str, Any]:
        """Return the turns that not all sessions have, before the rounds `first` to `last`."""
        found = [each for each in self._arena.earlier_turns.unshared if first <= each.before <= last]
        return {"unshared": [compare_view.unshared(each, self.sessions) for each in found]}

    def _between(self) -> dict[int, Static]:
        unshared = self._arena.earlier_turns.unshared
        return {each.before: compare_view.unshared_static(each, self.sessions) for each in unshared}

    def _hides_names(self, shown: Sequence[Round]) -> bool:
        return self._is_blind and not any(each.vote is not None for each in shown)

    def _names(self) -> list[str]:
        return [each.name for each in self.sessions]

    def _texts(self, shown: Sequence[Round]) -> Fields:  # noqa: ARG002 - the signature is the base class's
        asks = "all answer, in random order; vote for the best, and you are told whose it is"
        return {
            "hidden": f"{len(self.sessions)} sessions, names hidden until the first vote",
            "empty": f"Ask something: {asks if self._is_blind else 'all answer, side by side; vote for the best'}.",
            "blind": self._is_blind,
        }

    def whole(self) -> dict[str, Any]:
        """Return the last rounds, the fields around them, and what is asked."""
        return {**super().whole(), "asks": self._asks.whole()}

    def news(self) -> list[dict[str, Any]]:
        """Return new rounds, new votes, the changes of the answers, and what is asked."""
        return [*super().news(), *self._asks.news()]

    def _concerns(self, request: ApprovalRequest) -> bool:
        return any(request.session_id == session.session_id for session in self.sessions)

    def wants(self, event: Event) -> bool:
        """Whether the event changes an answer of the last round, the name of a session, or what it asks."""
        is_of_session = event.kind in ("ask", "session") and event.session in self.sessions
        return event.turn in self._arena.awaited or is_of_session

    def noted(self, event: Event) -> None:
        """Record an event: store a round that is over, and show a session's new name everywhere."""
        if event.turn is not None and event.turn.done:
            self._sender.put(self._arena.keep)
        known = self._sent_frame.get("names")
        if event.kind == "session" and known and well_formed(event.session.name) not in known:
            self._send_whole()

    def do_send(self, message: Message) -> None:
        """Send a prompt to all sessions."""
        self.ask(message["prompt"])

    def do_stop(self, _message: Message) -> None:
        """Stop the running answers."""
        self.stop()

    def do_retry(self, message: Message) -> None:
        """Ask one session again."""
        self.retry(message["round"], message["column"])

    def do_blind(self, message: Message) -> None:
        """Set whether the next rounds hide names until the vote."""
        self.blind = message["on"]


def _opened(
    manager: Manager, sessions: Sequence[str | Session], listed: Sequence[Target], provider: str
) -> tuple[Session, ...]:
    """Return the sessions to compare, without duplicates.

    Raises
    ------
    InputError
        If there are fewer than two.
    """
    if (
        isinstance(sessions, str)
        or not isinstance(sessions, Iterable)
        or len({*map(_name, sessions), *(each.name for each in listed)}) < LEAST
    ):
        hint = 'ComparePanel(["a", "b"]), ComparePanel(models=["m", "n"]) or ComparePanel(providers=["p", "q"])'
        raise InputError("a comparison needs two sessions, models or providers", hint)
    named = [each if isinstance(each, Session) else manager.session(each, provider=provider) for each in sessions]
    made = [manager.session(each.name, model=each.model, provider=each.provider) for each in listed]
    return tuple(dict.fromkeys([*named, *made]))


def _name(session: str | Session) -> str:
    return session.name if isinstance(session, Session) else require_text(session, "a session's name")
