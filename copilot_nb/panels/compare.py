"""The comparison panel: one prompt to several sessions, their answers side by side, and a vote.

Answers are shown as they stream: the page receives the fields of `deltas`, and of a blind round only those that
`compare_view` permits. In a blind comparison the page receives neither the list of names nor the count of wins before
the first vote. The sessions store the rounds and votes (`round_store`), so a new panel, also after a restart of the
kernel, continues where the last one ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from copilot_nb.errors import InputError
from copilot_nb.experiments import rounds
from copilot_nb.experiments.arena import Arena
from copilot_nb.experiments.rounds import Round
from copilot_nb.experiments.targets import Target, one_each
from copilot_nb.named_sessions.api import shared_manager
from copilot_nb.named_sessions.session import Session
from copilot_nb.panels import compare_view
from copilot_nb.panels.assets import script
from copilot_nb.panels.base import Message, Panel
from copilot_nb.panels.compare_view import Column
from copilot_nb.panels.deltas import Fields
from copilot_nb.panels.static_output import Static
from copilot_nb.render.escape import well_formed
from copilot_nb.render.words import count

if TYPE_CHECKING:
    from pandas import DataFrame

    from copilot_nb.named_sessions.manager import Manager
    from copilot_nb.named_sessions.session import Event
    from copilot_nb.render.table import Table

PAGE_ROUNDS = 5
"""Rounds that the page receives at once, the last ones (count)."""
LEAST = 2
"""The fewest sessions that can be compared (count)."""


class ComparePanel(Panel):
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

    _esm = script("compare.js")

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
        self._columns: dict[int, list[Column]] = {}
        self._sent_rounds: dict[int, Round] = {}
        self._sent_frame: Fields = {}
        self._is_blind = blind
        super().__init__(manager)

    def __repr__(self) -> str:
        return f"<ComparePanel: {count(len(self.sessions), 'session')}, {count(len(self._arena.rounds), 'round')}>"

    @property
    def sessions(self) -> tuple[Session, ...]:
        """The compared sessions."""
        return self._arena.sessions

    @property
    def results(self) -> list[Round]:
        """The rounds so far, with prompts, answers and votes."""
        return list(self._arena.rounds)

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

    def to_frame(self) -> DataFrame:
        """Return the rounds as a pandas frame with one row for each answer.

        The columns: ``round``, ``prompt``, ``blind``; ``column`` (1 is the left one), ``session``, ``model``,
        ``provider``, ``state``; ``vote`` on the round (``best``, ``tie``, ``none good``) and whether this answer
        ``won`` it; ``text``, ``started_at``, ``ttft_s`` (time to first token, seconds), ``duration_s``,
        ``input_tokens``, ``output_tokens``, ``cost``, ``error``. Unknown values are missing values.

        Raises
        ------
        InputError
            If pandas is not installed.
        """
        return rounds.to_frame(self._arena.rounds)

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

    def vote(self, number: int, choice: int | str) -> Round:
        """Vote on a round, and return it.

        Parameters
        ----------
        number : int
            Of the round, counted from 1.
        choice : int or str
            The best answer's column, counted from 1; ``"tie"`` or ``"none good"``.

        Raises
        ------
        InputError
            If there is no such round or choice, the round is not over, or it is blind and already voted on.
        """
        voted = self._arena.vote(number, choice)
        self.mark()
        self._static_output.changed()
        return voted

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

    def whole(self) -> dict[str, Any]:
        """Return the last rounds, and the fields around them."""
        shown = self._arena.rounds
        first = max(0, len(shown) - PAGE_ROUNDS)
        self._sent_rounds = {each.number: each for each in shown}
        self._columns = {each.number: [Column(turn) for turn in each.turns] for each in shown[first:]}
        self._sent_frame = self._frame(shown)
        told = [compare_view.whole(each, self._columns[each.number]) for each in shown[first:]]
        note = self._arena.earlier_turns.note
        return {
            "rounds": told,
            "earlier": first,
            "frame": self._sent_frame,
            "note": note,
            **self._unshared(first + 1, len(shown) + 1),
        }

    def _unshared(self, first: int, last: int) -> dict[str, Any]:
        """Return the turns that not all sessions have, before the rounds `first` to `last`."""
        found = [each for each in self._arena.earlier_turns.unshared if first <= each.before <= last]
        return {"unshared": [compare_view.unshared(each, self.sessions) for each in found]}

    def news(self) -> list[dict[str, Any]]:
        """Return new rounds, new votes and the changes of the answers."""
        shown, items = self._arena.rounds, []
        for asked in shown:
            told, self._sent_rounds[asked.number] = self._sent_rounds.get(asked.number), asked
            if told is None:
                self._columns[asked.number] = [Column(turn) for turn in asked.turns]
                items.append({"kind": "round", **compare_view.whole(asked, self._columns[asked.number])})
            elif told is not asked:
                known = self._columns.get(asked.number, [None] * len(asked.turns))
                columns = [
                    each if each and each.turn is turn else Column(turn)
                    for each, turn in zip(known, asked.turns, strict=True)
                ]
                self._columns[asked.number] = columns
                facts = [each.revealed(asked) if each in known else each.whole(asked) for each in columns]
                items.append({"kind": "voted", **compare_view.facts(asked, facts)})
            else:
                items += self._answer_changes(asked)
        if (frame := self._frame(shown)) != self._sent_frame:
            self._sent_frame = frame
            items.append({"kind": "frame", "frame": frame})
        return items

    def _answer_changes(self, asked: Round) -> list[dict[str, Any]]:
        """Return the changes of a round's answers."""
        columns = [(at, each) for at, each in enumerate(self._columns.get(asked.number, ())) if not each.is_sent]
        return [
            {"kind": "answer", "round": asked.number, "column": at, **patch}
            for at, each in columns
            if (patch := each.patch(asked))
        ]

    def transcript(self) -> Static:
        """Return the last rounds as a saved notebook shows them; a blind round reveals no more than on the page."""
        shown = self._arena.rounds
        wins = None if self._hides_names(shown) else self.summary
        unshared = self._arena.earlier_turns.unshared
        between = {each.before: compare_view.unshared_static(each, self.sessions) for each in unshared}
        return compare_view.transcript(shown[-PAGE_ROUNDS:], wins, between)

    def _hides_names(self, shown: Sequence[Round]) -> bool:
        return self._is_blind and not any(each.vote is not None for each in shown)

    def _frame(self, shown: Sequence[Round]) -> Fields:
        """Return the fields around the rounds; without names before the first vote of a blind comparison."""
        has_votes = any(each.vote is not None for each in shown)
        table = rounds.summary(shown, self._arena.sessions)
        return {
            "blind": self._is_blind,
            "number": len(self._arena.sessions),
            "names": [] if self._hides_names(shown) else [well_formed(each.name) for each in self.sessions],
            "heads": list(table.columns),
            "rows": [[well_formed(cell) for cell in row] for row in table.rows] if has_votes else [],
            "caption": table.caption,
        }

    def wants(self, event: Event) -> bool:
        """Whether the event changes an answer of the last round or the name of a session."""
        return event.turn in self._arena.awaited or (event.kind == "session" and event.session in self.sessions)

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

    def do_vote(self, message: Message) -> None:
        """Vote on a round."""
        self.vote(message["round"], message["choice"])

    def do_retry(self, message: Message) -> None:
        """Ask one session again."""
        self.retry(message["round"], message["column"])

    def do_blind(self, message: Message) -> None:
        """Set whether the next rounds hide names until the vote."""
        self.blind = message["on"]

    def do_csv(self, _message: Message) -> dict[str, Any]:
        """Return the rounds as a CSV file."""
        return {"name": "comparison.csv", "text": rounds.to_csv(self._arena.rounds)}

    def do_earlier(self, message: Message) -> dict[str, Any]:
        """Return the page of rounds before a round."""
        end = max(0, message["before"] - 1)
        first = max(0, end - PAGE_ROUNDS)
        shown = self._arena.rounds[first:end]
        return {
            "rounds": [compare_view.whole(each, [Column(turn) for turn in each.turns]) for each in shown],
            "earlier": first,
            **self._unshared(first + 1, end),
        }


def _opened(
    manager: Manager, sessions: Sequence[str | Session], listed: Sequence[Target], provider: str
) -> tuple[Session, ...]:
    """Return the sessions to compare, without duplicates.

    Raises
    ------
    InputError
        If there are fewer than two.
    """
    if isinstance(sessions, str) or len({*map(_name, sessions), *(each.name for each in listed)}) < LEAST:
        hint = 'ComparePanel(["a", "b"]), ComparePanel(models=["m", "n"]) or ComparePanel(providers=["p", "q"])'
        raise InputError("a comparison needs two sessions, models or providers", hint)
    named = [each if isinstance(each, Session) else manager.session(each, provider=provider) for each in sessions]
    made = [manager.session(each.name, model=each.model, provider=each.provider) for each in listed]
    return tuple(dict.fromkeys([*named, *made]))


def _name(session: str | Session) -> str:
    return session.name if isinstance(session, Session) else session
