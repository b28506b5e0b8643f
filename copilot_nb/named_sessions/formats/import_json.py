"""Creates a session from an exported conversation.

A new session plays up to two pattern turns. The log of the conversation is composed from the events that the runtime
wrote for them (`runtime.composing`), and the runtime reads that log. The session is then assigned to the default
provider, so that a file can neither select a paid provider nor cause a download. The note of the session's next turn
names the former provider, the system message, and what could not be imported.

Why: docs/decisions/0009-import-by-replay.md and docs/decisions/0030-import-by-composing.md.
"""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from copilot_nb.conversation.parts import ToolCall, TurnState
from copilot_nb.errors import CopilotNBError, InputError, ProviderError, SessionError, TurnFailed
from copilot_nb.named_sessions.formats.export import load
from copilot_nb.named_sessions.names import check_name, quoted
from copilot_nb.named_sessions.options import SessionOptions, model_label
from copilot_nb.named_sessions.session import state_of
from copilot_nb.providers.sample_model import ASKED, ASKED_IN_VAIN, sample_provider
from copilot_nb.render.escape import well_formed
from copilot_nb.render.turn import images_text
from copilot_nb.render.words import count
from copilot_nb.runtime.composing import compose, is_answered
from copilot_nb.runtime.loop import wait_for
from copilot_nb.system.threads import in_thread

if TYPE_CHECKING:
    from copilot_nb.conversation.transcript import TurnRecord
    from copilot_nb.named_sessions.engine import Engine
    from copilot_nb.named_sessions.formats.json_format import Exported
    from copilot_nb.named_sessions.manager import Manager
    from copilot_nb.named_sessions.session import Session
    from copilot_nb.named_sessions.state import SessionState

MAX_SHOWN_CHARS = 100
"""The most of an imported system message that is shown (characters)."""


def import_session(manager: Manager, path: str | Path, name: str = "") -> Session:
    """Create a session from a conversation that was exported as `.json`.

    Parameters
    ----------
    manager : Manager
        The manager that creates the session.
    path : str or Path
        The file.
    name : str, optional
        The session's name; by default the one in the file.

    Returns
    -------
    Session
        The new session. The note of its next turn says what was imported and what could not be.

    Raises
    ------
    InputError
        If the file is invalid, or a session of that name exists.
    SessionError
        If the runtime does not accept the conversation, or the import is interrupted; no session remains then.
    """
    imported = load(path)
    name = check_name(name or imported.facts.name)
    turns = [dataclasses.replace(turn, prompt=well_formed(turn.prompt)) for turn in imported.turns]
    _check(manager, name, turns)
    provider, model, note = manager.loop.blocking(_chosen(manager, imported.facts))
    try:
        session = _made(manager, name, turns, imported.facts.system, (provider, model))
    except KeyboardInterrupt:
        raise SessionError("the import was interrupted; no session was created") from None
    state_of(session).resume_note = "; ".join(
        filter(None, (_note(Path(path).name, turns), _system_note(manager, imported.facts), note))
    )
    return session


def _check(manager: Manager, name: str, turns: Sequence[TurnRecord]) -> None:
    manager.loop.blocking(manager.open_sessions.check_free(name))
    for number, turn in enumerate(turns, 1):
        try:
            manager.check_prompt(_said(turn))
        except InputError as error:
            raise InputError(f"turn {number} cannot be imported: {error.message}", error.hint) from error


async def _chosen(manager: Manager, facts: Exported) -> tuple[str, str, str]:
    """Return the provider and the model for the session, and a note if they differ from those of the file."""
    try:
        usual = await manager.selector.for_new(SessionOptions())
        provider, model = usual.provider, usual.model
    except ProviderError:
        provider, model = "local", ""  # the first prompt says how to install it
    if facts.provider == provider and await _can_use(manager, provider, facts.model):
        model = facts.model or model
    if not facts.provider or (facts.provider, facts.model or model) == (provider, model):
        return provider, model, ""
    before = f"{model_label(facts.provider, facts.model)} answered before, {model_label(provider, model)} answers now"
    flags = f"-p {quoted(facts.provider)}{f' -m {quoted(facts.model)}' if facts.model else ''}"
    return provider, model, f"{before} (to use the former: {flags})"


async def _can_use(manager: Manager, provider: str, model: str) -> bool:
    """Whether the default provider has the model that the file names, without downloading it."""
    if provider == "local":
        return model in manager.providers["local"].models
    try:
        return (await manager.selector.resolve(provider, model))[1] == model
    except ProviderError:
        return False


def _made(manager: Manager, name: str, turns: Sequence[TurnRecord], system: str, heir: tuple[str, str]) -> Session:
    """Return a new session with `turns` as its history and `heir` as its provider and model."""
    player = sample_provider()
    manager.providers.add(player)
    try:
        session = manager.session(name, provider=player.name, system=system or None, tools="none")
        try:
            session.create()
            for prompt in _patterns(turns):
                _play(session, prompt)
            manager.loop.blocking(_hand_over(state_of(session), manager.engine, turns, *heir))
        except BaseException:
            with suppress(CopilotNBError):
                session.delete()
            raise
        return session
    finally:
        manager.providers.remove(player)


def _patterns(turns: Sequence[TurnRecord]) -> Iterator[str]:
    """Yield the prompts of the pattern turns to play."""
    if not all(map(is_answered, turns)):
        yield ASKED_IN_VAIN
    if any(map(is_answered, turns)):
        yield ASKED


def _play(session: Session, prompt: str) -> None:
    asked = session.send(prompt, cell="")
    wait_for(asked.ended)  # not `Turn.wait`: an interrupt must end the import, not only this turn
    is_expected = isinstance(asked.error, TurnFailed) and prompt == ASKED_IN_VAIN
    if asked.error is not None and not is_expected:
        raise SessionError(f"the conversation could not be imported: {asked.error.message}") from asked.error


def _said(turn: TurnRecord) -> str:
    return turn.prompt if turn.prompt.strip() else images_text(turn)


async def _hand_over(
    state: SessionState, engine: Engine, turns: Sequence[TurnRecord], provider: str, model: str
) -> None:
    """Make `turns` the history of the session, and store the provider and the model that answer from now on."""
    async with state.lock:
        connection = await engine.loaded(state)
        state.options = dataclasses.replace(state.options, provider=provider, model=model)
        state.requested = SessionOptions()
        state.last_outcome = "" if all(map(is_answered, turns[-1:])) else TurnState.FAILED.value
        await engine.annotate(state, connection)
        await connection.flush()
        archive = (await engine.client()).archive
        log = archive.require_log(state.session_id)
        pattern = await in_thread(log.read_bytes)
        await state.runner.disconnect()
        if turns:
            await in_thread(compose, log, pattern, [dataclasses.replace(turn, prompt=_said(turn)) for turn in turns])
            read_back = (await archive.history(state.session_id)).turns
            if [turn.text.strip() for turn in read_back] != [well_formed(turn.text).strip() for turn in turns]:
                raise SessionError("the conversation could not be imported: the runtime reads it differently")
        state.tell("history")


def _note(file: str, turns: Sequence[TurnRecord]) -> str:
    said = f"imported {count(len(turns), 'turn')} from {file}"
    return f"{said}, without {', '.join(_lost(turns))}" if turns else said


def _system_note(manager: Manager, facts: Exported) -> str:
    """Return a note with the system message of the file, because the session uses it from now on; ``""`` if none."""
    if not facts.system.strip() or facts.system == manager.settings.system:
        return ""
    return f"its system message: {textwrap.shorten(facts.system, MAX_SHOWN_CHARS, placeholder='…')}"


def _lost(turns: Sequence[TurnRecord]) -> Iterator[str]:
    """Yield what could not be imported."""
    yield "the original times"
    if any(turn.usage and turn.usage.cost for turn in turns):
        yield "costs"
    if calls := sum(isinstance(part, ToolCall) for turn in turns for part in turn.parts):
        yield count(calls, "tool call")
    if thoughtful := sum(bool(turn.reasoning) for turn in turns):
        yield f"the reasoning of {count(thoughtful, 'turn')}"
    if images := sum(len(turn.images) for turn in turns):
        yield count(images, "image")
    if partial := sum(turn.state is not TurnState.DONE for turn in turns):
        yield f"the early end of {count(partial, 'turn')}"
