"""One session as a panel to chat in: a view of the session that the cells use, with nothing of its own but the view.

What is asked for here is what Python and the magics do, by the same calls; what comes of it arrives as news, as it does
when a cell asked. A session that was deleted is begun anew by the next prompt, with the options it had.
"""

from __future__ import annotations

import base64
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from copilot_nb.conversation.prompt import interpolate
from copilot_nb.errors import CopilotNBError, InputError
from copilot_nb.named_sessions import models
from copilot_nb.named_sessions.aliases import split
from copilot_nb.named_sessions.api import shared_manager
from copilot_nb.named_sessions.attach import attached, image, thumbnail, with_text
from copilot_nb.named_sessions.history import PAGE_TURNS
from copilot_nb.named_sessions.manager import manager_of
from copilot_nb.named_sessions.names import quoted
from copilot_nb.named_sessions.session import Session, state_of
from copilot_nb.panels.assets import script
from copilot_nb.panels.base import Message, Panel
from copilot_nb.panels.deltas import Deltas
from copilot_nb.render.escape import well_formed
from copilot_nb.render.words import count

if TYPE_CHECKING:
    from copilot_nb.conversation.parts import Image
    from copilot_nb.conversation.transcript import TurnRecord
    from copilot_nb.named_sessions.session import Event
    from copilot_nb.panels.static_output import Transcript

Evaluate = Callable[[str], object]

_SHRINKING = threading.Lock()
"""Held for each thumbnail: a page asks for many at once, and cells need the processor too."""


class _ExpressionError(InputError):
    """A ``{{ expression }}`` has no value; the text may have been meant to the letter."""


def in_main(expression: str) -> object:
    """Return the value of an expression where the notebook's variables are."""
    return eval(expression, vars(sys.modules["__main__"]))  # noqa: S307 - the user's own code, in the user's own kernel


def value_of(expression: str, evaluate: Evaluate) -> str:
    """Return the value of an expression, as text.

    Raises
    ------
    InputError
        If it has none.
    """
    try:
        return str(evaluate(expression))
    except CopilotNBError:
        raise
    except NameError as error:
        hint = r"define it in a cell; for literal braces write \{{"
        raise InputError(f"{{{{ {expression} }}}}: {error}", hint) from error
    except (Exception, SystemExit) as error:  # the user's own code may raise anything
        what = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"{{{{ {expression} }}}} raised {what}") from error


def as_written(expression: str) -> str:
    """Return an expression as it stood in the prompt."""
    return f"{{{{ {expression} }}}}"


def with_files(prompt: str, files: Sequence[Message], hide: Callable[[str], str] = str) -> tuple[str, list[Image]]:
    """Return a prompt with the text of a page's files before it, and the images among them.

    Parameters
    ----------
    prompt : str
        What is said of them.
    files : sequence of mapping
        Each has a ``name`` and either ``text`` or, of an image, ``base64``.
    hide : callable, optional
        Hides the secrets in a text.

    Raises
    ------
    InputError
        If one is too large, or no image.
    """
    texts = [hide(with_text(file["name"], file["text"])) for file in files if "text" in file]
    images = [image(file["name"], base64.b64decode(file["base64"])) for file in files if "base64" in file]
    return "\n".join([*texts, prompt]), images


class ChatPanel(Panel):
    """A session to chat in: what a cell or Python sends to it appears here, and the other way.

    Parameters
    ----------
    session : str or Session
        The session, or its name; one that is not there yet is created by its first prompt.
    evaluate : callable, optional
        Evaluates the expression of ``{{ expression }}`` in a prompt; by default among the notebook's variables. In a
        session that belongs to a user it is left as it was written by default, for the user may be a stranger.
    models : sequence of str, optional
        The models the page may choose from, each ``"MODEL"`` or ``"PROVIDER/MODEL"``. By default all; in a session that
        belongs to a user only those that its own provider lists, for a stranger must not choose who is paid.

    Attributes
    ----------
    session : Session
        The session that is shown.

    Examples
    --------
    >>> ChatPanel("session1")  # doctest: +SKIP
    """

    _esm = script("chat.js")

    def __init__(
        self, session: str | Session, *, evaluate: Evaluate = in_main, models: Sequence[str] | None = None
    ) -> None:
        self.session = session if isinstance(session, Session) else shared_manager().session(session)
        chosen = as_written if self.session.user and evaluate is in_main else evaluate
        self._evaluate = partial(value_of, evaluate=chosen)
        self._models = models
        self._deltas = Deltas(self.session)
        super().__init__(manager_of(self.session))

    def __repr__(self) -> str:
        return f"<ChatPanel of {self.session.name!r}>"

    def whole(self) -> dict[str, Any]:
        """Return the last page of turns, those under way, and what is to be known of the session."""
        return {**self._deltas.whole(), "choices": self._choices()}

    def news(self) -> list[dict[str, Any]]:
        """Return what has changed of the turns and of the session."""
        if self._deltas.is_doubled:
            self.begin_anew()
            return []
        return self._deltas.news()

    def transcript(self) -> Transcript:
        """Return the last turns."""
        return self.session.last_turns(PAGE_TURNS)

    def wants(self, event: Event) -> bool:
        """Whether it is about this session, or about the one that takes its place."""
        return event.session is self.session or (
            state_of(self.session).is_gone and event.session.name == self.session.name
        )

    def noted(self, event: Event) -> None:
        """Remember what has happened; where turns were taken back, the page begins anew."""
        if event.session is not self.session:
            self._show(event.session)
        self._deltas.noted(event)
        if event.kind == "history":
            self.begin_anew()

    def _show(self, session: Session) -> None:
        """Show another session (on the panel's thread)."""
        if session is not self.session:
            self.session = session
            self._deltas = Deltas(session)
            self.begin_anew()

    def _alive(self) -> Session:
        """Return the session to ask; of one that is gone, the next of its name."""
        return self._manager.reopen(self.session)

    def do_send(self, message: Message) -> dict[str, Any]:
        """Send a prompt: its ``{{ expressions }}`` are evaluated, its files put before it.

        Where an expression has no value, the answer says so as ``refused``, and the page may send the text as it is.
        """
        try:
            prompt, images = self._written(message)
        except _ExpressionError as error:
            return {"refused": str(error)}
        self._alive().send(prompt, attach=images, cell="")
        return {}

    def do_stop(self, message: Message) -> None:
        """Stop a turn, by default the one under way; one that waits is withdrawn, others that wait go on."""
        turn = (
            self._deltas.turn(message["turn"])
            if "turn" in message
            else next(iter(state_of(self.session).pending), None)
        )
        if turn is not None:
            turn.stop()

    def do_resend(self, message: Message) -> dict[str, Any]:
        """Send `text`, or what a turn had asked (``None``), in the place of that turn and those after it."""
        turn = self._deltas.turn(message["turn"])
        if turn is not None and turn.done and not turn.record.turn_id:  # it has never been sent
            record, replaced = turn.record, self._deltas.stored_id(turn.replaces)
        else:
            record, _ = self._deltas.place(message["turn"])
            replaced = record.turn_id
        try:
            prompt, images = self._written_anew(message, record)
        except _ExpressionError as error:
            return {"refused": str(error)}
        self._alive().send(prompt, attach=images, cell="", replaces=replaced)
        return {}

    def _written_anew(self, message: Message, record: TurnRecord) -> tuple[str, list[Image]]:
        """Return what takes the place of a turn; its images stay."""
        prompt, images = (record.prompt, []) if message.get("text") is None else self._written(message)
        _, whole = attached("", [*record.images, *images])  # what is lost is said before anything is taken back
        return prompt, list(whole)

    def _written(self, message: Message) -> tuple[str, list[Image]]:
        """Return what was written: its expressions evaluated, its files put before it, and the images among them."""
        text = str(message["text"]).strip("\n")
        try:
            prompt = text if message.get("literal") else interpolate(text, self._value)
        except InputError as error:
            raise _ExpressionError(error.message, error.hint) from error
        return with_files(prompt, message.get("files", ()), self._manager.hide_secrets)

    def _value(self, expression: str) -> str:
        return self._manager.hide_secrets(self._evaluate(expression))

    def do_rewind(self, message: Message) -> dict[str, Any]:
        """Take back the last turns; ``None``: all of them."""
        total = len(self.session.history)
        number = total if message.get("count") is None else int(message["count"])
        if not 0 < number <= total:
            raise InputError(f"session {self.session.name!r} has {count(total, 'turn')}", "/rewind takes back one")
        return {"said": f"Took back {count(self.session.rewind(total - number), 'turn')}; /undo brings back."}

    def do_undo(self, _message: Message) -> dict[str, Any]:
        """Bring back what was taken back."""
        return {"said": f"Brought back {count(self.session.undo_rewind(), 'turn')}."}

    def do_fork(self, message: Message) -> dict[str, Any]:
        """Make a session of this one's history, up to a turn if one is named."""
        at = self._deltas.place(message["turn"])[1] + 1 if message.get("turn") else None
        copy = self.session.fork(message.get("name") or None, at)
        said = f"{copy.own_name} begins with {count(state_of(copy).turn_count, 'turn')} of {self.session.own_name}"
        elsewhere = "" if copy.user else f"; elsewhere: %copilot panel {quoted(copy.name)}"
        return {"said": said + elsewhere, "name": copy.own_name}

    def do_show(self, message: Message) -> None:
        """Show another session in this panel."""
        self._teller.put(partial(self._show, self._manager.existing(message["name"], self.session.user)))

    def do_rename(self, message: Message) -> None:
        """Give the session another name."""
        self.session.rename(message["name"])

    def do_model(self, message: Message) -> dict[str, Any]:
        """Let another model answer from the next prompt on."""
        session = self._alive()
        model, provider = self._permitted(str(message.get("model", "")), str(message.get("provider", "")))
        self._manager.session(session.name, model=model, provider=provider)
        self.mark()
        requested = state_of(session).requested
        return {
            "said": f"The next prompt goes to {requested.model or model} ({requested.provider or session.provider})."
        }

    def do_models(self, _message: Message) -> dict[str, Any]:
        """Return the models there are; the providers are asked."""
        if self._is_bound:
            return {"choices": self._choices(ask=True)}
        found = models.list_models(self._manager)
        return {"choices": [[provider, well_formed(info.model_id)] for provider, info in found.models]}

    def do_earlier(self, message: Message) -> dict[str, Any]:
        """Return the turns before the first that is shown."""
        return self._deltas.earlier(int(message["before"]))

    def do_text(self, message: Message) -> dict[str, Any]:
        """Return an answer as the model wrote it."""
        turn = self._deltas.turn(message["turn"])
        record = turn.record if turn is not None else self._deltas.place(message["turn"])[0]
        return {"text": well_formed(record.text)}

    def do_thumbnail(self, message: Message) -> dict[str, Any]:
        """Return a small copy of an image that went with a prompt."""
        with _SHRINKING:
            small = thumbnail(self._deltas.images(message["turn"])[int(message["index"])])
        return {"src": f"data:{small.mime_type};base64,{base64.b64encode(small.data).decode()}"}

    def do_usage(self, _message: Message) -> dict[str, Any]:
        """Return what the session took."""
        usage = self.session.usage
        name, _, into, out, time, cost, window = usage.cells()
        facts = [f"{name}: {count(usage.turns, 'turn')}", f"{into} tokens in, {out} out", time]
        facts += [f"cost {cost}"] if cost else []
        facts += [f"the model's window holds {window}"] if window else []
        return {"said": well_formed(" · ".join(facts))}

    @property
    def _is_bound(self) -> bool:
        """Whether the page may choose only from a list."""
        return self._models is not None or bool(self.session.user)

    def _permitted(self, model: str, provider: str) -> tuple[str, str]:
        """Return the model that the page names, and its provider.

        A page that is bound is told nothing but that its choice is not on the list: a name may be that of a file, an
        alias or a provider of the owner's.
        """
        if not self._is_bound:
            return model, provider
        for known_provider, known in self._choices(ask=True):
            if known == model and provider in ("", known_provider) and model not in self._manager.settings.aliases:
                return known, known_provider
        raise InputError("this model cannot be chosen here", "choose one from the list of models")

    def _choices(self, *, ask: bool = False) -> list[list[str]]:
        """Return the models to choose from, each with its provider; nobody is asked for them unless `ask` says so."""
        providers = self._manager.providers
        if self._models is not None:
            named = [split(each, providers.names) for each in self._models]
            return [[provider or self.session.provider, model] for provider, model in named]
        known: list[list[str]] = []
        for name in [self.session.provider] if self.session.user else providers.chosen_names:
            with suppress(CopilotNBError):  # it is not installed, cannot be described, or does not answer
                if ask:
                    self._manager.loop.blocking(providers[name].list_models())
            with suppress(CopilotNBError):
                known += [[name, well_formed(model)] for model in providers[name].models]
        return known
