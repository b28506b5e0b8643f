"""The chat panel: a view of one session, the same that the cells use, without state apart from the view.

The panel makes the same calls as Python and the magics; their results arrive as news, as after a call from a cell. If
the session was deleted, the next prompt creates it again with the same options.
"""

from __future__ import annotations

import base64
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import PureWindowsPath
from typing import TYPE_CHECKING, Any

from copilot_nb.conversation.prompt import interpolate, require_function, require_texts
from copilot_nb.errors import CopilotNBError, InputError
from copilot_nb.named_sessions import models
from copilot_nb.named_sessions.aliases import split
from copilot_nb.named_sessions.api import shared_manager
from copilot_nb.named_sessions.attach import image, thumbnail, with_text
from copilot_nb.named_sessions.history import PAGE_TURNS
from copilot_nb.named_sessions.manager import manager_of
from copilot_nb.named_sessions.names import quoted
from copilot_nb.named_sessions.session import Session, state_of
from copilot_nb.named_sessions.turn import Turn
from copilot_nb.panels.approvals import Asks
from copilot_nb.panels.assets import script
from copilot_nb.panels.base import Message, Panel
from copilot_nb.panels.deltas import Deltas
from copilot_nb.render.escape import well_formed
from copilot_nb.render.words import count

if TYPE_CHECKING:
    from copilot_nb.conversation.parts import Image
    from copilot_nb.named_sessions.approvals import ApprovalRequest
    from copilot_nb.named_sessions.session import Event
    from copilot_nb.panels.static_output import Transcript

Evaluate = Callable[[str], object]

_SHRINKING = threading.Lock()
"""Held while a thumbnail is made: a page requests many at once, and cells need the processor too."""


class _ExpressionError(InputError):
    """A ``{{ expression }}`` has no value; the user may have meant the text literally."""


def in_main(expression: str) -> object:
    """Return the value of an expression in the notebook's namespace."""
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
    """Return an expression as written in the prompt."""
    return f"{{{{ {expression} }}}}"


def with_files(prompt: str, files: Sequence[Message], hide: Callable[[str], str] = str) -> tuple[str, list[Image]]:
    """Return a prompt preceded by the text of the page's files, and the images among the files.

    Parameters
    ----------
    prompt : str
        The prompt that the files go with.
    files : sequence of mapping
        Each has a ``name``, of which a path is left out, and either ``text`` or, of an image, ``base64``.
    hide : callable, optional
        Returns a text with its secrets hidden.

    Raises
    ------
    InputError
        If one is too large, or no image.
    """
    named = [(PureWindowsPath(file["name"]).name, file) for file in files]  # which knows both signs between folders
    texts = [hide(with_text(name, file["text"])) for name, file in named if "text" in file]
    images = [image(name, base64.b64decode(file["base64"])) for name, file in named if "base64" in file]
    return "\n".join([*texts, prompt]), images


EXAMPLES = (
    "Write a pandas function that finds duplicate rows, with an example",
    "Explain this error, and how to mend it: ",
    "Compare two ways to read a large CSV file",
)
"""What an empty conversation suggests to somebody who works in a notebook."""
VISITORS_EXAMPLES = (
    "What is the capital of Japan? One sentence.",
    "Name three cities in Italy.",
    "Write a Python function that adds two numbers.",
)
"""The same for a user of a web page, who has neither data nor errors there."""


class ChatPanel(Panel):
    """A chat with one session. Turns that cells or Python send appear in the panel, too, and the other way round.

    Parameters
    ----------
    session : str or Session
        The session, or its name; a session that does not exist is created by its first prompt.
    evaluate : callable, optional
        Evaluates the expression of ``{{ expression }}`` in a prompt. By default it is evaluated in the notebook's
        namespace; in a session that belongs to a user it is left as written, because the user may be a stranger.
    models : sequence of str, optional
        The models that the page may choose, each ``"MODEL"`` or ``"PROVIDER/MODEL"``. By default all; in a session that
        belongs to a user only those that its provider lists, because a stranger must not choose which account pays.

    Attributes
    ----------
    session : Session
        The session that is shown.

    Examples
    --------
    >>> ChatPanel("session1")  # doctest: +SKIP
    """

    _esm = script("chat.js")
    _asks: Asks

    def __init__(
        self, session: str | Session, *, evaluate: Evaluate = in_main, models: Sequence[str] | None = None
    ) -> None:
        require_function(evaluate, "evaluate")
        self._models = None if models is None else require_texts(models, "models")
        self.session = session if isinstance(session, Session) else shared_manager().session(session)
        chosen = as_written if self.session.user and evaluate is in_main else evaluate
        self._evaluate = partial(value_of, evaluate=chosen)
        self._deltas = Deltas(self.session)
        manager = manager_of(self.session)
        self._asks = Asks(manager.approvals, self._concerns, self.session.user)
        super().__init__(manager)

    def _concerns(self, request: ApprovalRequest) -> bool:
        return request.session_id == self.session.session_id

    def __repr__(self) -> str:
        return f"<ChatPanel of {self.session.name!r}>"

    def whole(self) -> dict[str, Any]:
        """Return the last page of turns, the running turns, what is asked, and the session's facts."""
        examples = VISITORS_EXAMPLES if self.session.user else EXAMPLES
        return {**self._deltas.whole(), "asks": self._asks.whole(), "choices": self._choices(), "examples": examples}

    def news(self) -> list[dict[str, Any]]:
        """Return the changes of the turns and of the session."""
        if self._deltas.is_doubled:
            self.start_over()
            return []
        return [*self._deltas.news(), *self._asks.news()]

    def transcript(self) -> Transcript:
        """Return the last turns."""
        return self.session.last_turns(PAGE_TURNS)

    def wants(self, event: Event) -> bool:
        """Whether the event is about this session or the one that replaces it."""
        return event.session is self.session or (
            state_of(self.session).is_gone and event.session.name == self.session.name
        )

    def noted(self, event: Event) -> None:
        """Record an event; after turns were taken back, the page starts over."""
        if event.session is not self.session:
            self._show(event.session)
        self._deltas.noted(event)
        if event.kind == "history":
            self.start_over()

    def _show(self, session: Session) -> None:
        """Show another session (on the panel's thread)."""
        if session is not self.session:
            self.session = session
            self._deltas = Deltas(session)
            self.start_over()

    def _reopened(self) -> Session:
        """Return the session; if it was deleted, a new one of the same name."""
        return self._manager.reopen(self.session)

    def do_send(self, message: Message) -> dict[str, Any]:
        """Send a prompt, with its ``{{ expressions }}`` evaluated and its files inserted before it.

        If an expression has no value, the answer says so as ``refused``, and the page may send the text literally.
        """
        try:
            prompt, images = self._written(message)
        except _ExpressionError as error:
            return {"refused": str(error)}
        self._reopened().send(prompt, attach=images, cell="")
        return {}

    def do_stop(self, message: Message) -> None:
        """Stop a turn, by default the running one. A queued turn is withdrawn; other queued turns still run."""
        turn = (
            self._deltas.turn(message["turn"])
            if "turn" in message
            else next(iter(state_of(self.session).pending), None)
        )
        if turn is not None:
            turn.stop()

    def do_resend(self, message: Message) -> dict[str, Any]:
        """Send `text`, or the turn's own prompt (``None``), in place of that turn and all later ones."""
        replaced = self._deltas.known(message["turn"])
        record = replaced.record if isinstance(replaced, Turn) else replaced
        try:
            prompt, images = (record.prompt, []) if message.get("text") is None else self._written(message)
        except _ExpressionError as error:
            return {"refused": str(error)}
        self._reopened().send(prompt, attach=[*record.images, *images], cell="", replaces=replaced)
        return {}

    def _written(self, message: Message) -> tuple[str, list[Image]]:
        """Return the text, with expressions evaluated and files inserted before it, and the images among the files."""
        text = str(message["text"]).strip("\n")
        try:
            prompt = text if message.get("literal") else interpolate(text, self._value)
        except InputError as error:
            raise _ExpressionError(error.message, error.hint) from error
        return with_files(prompt, message.get("files", ()), self._manager.hide_secrets)

    def _value(self, expression: str) -> str:
        return self._manager.hide_secrets(self._evaluate(expression))

    def do_rewind(self, message: Message) -> dict[str, Any]:
        """Take back the last turns, or all of them (``None``)."""
        total = len(self.session.history)
        number = total if message.get("count") is None else int(message["count"])
        if not 0 < number <= total:
            raise InputError(f"session {self.session.name!r} has {count(total, 'turn')}", "/rewind takes back one")
        return {"said": f"Took back {count(self.session.rewind(total - number), 'turn')}; /undo brings back."}

    def do_undo(self, _message: Message) -> dict[str, Any]:
        """Bring back the turns that were taken back."""
        return {"said": f"Brought back {count(self.session.undo_rewind(), 'turn')}."}

    def do_fork(self, message: Message) -> dict[str, Any]:
        """Fork the session, with its history up to the turn that the message names, or all of it."""
        at = self._deltas.place(message["turn"])[1] + 1 if message.get("turn") else None
        copy = self.session.fork(message.get("name") or None, at)
        said = f"{copy.own_name} begins with {count(state_of(copy).turn_count, 'turn')} of {self.session.own_name}"
        elsewhere = "" if copy.user else f"; elsewhere: %copilot panel {quoted(copy.name)}"
        return {"said": said + elsewhere, "name": copy.own_name}

    def do_show(self, message: Message) -> None:
        """Show another session in this panel."""
        self._sender.put(partial(self._show, self._manager.existing(message["name"], self.session.user)))

    def do_rename(self, message: Message) -> None:
        """Rename the session."""
        self.session.rename(message["name"])

    def do_model(self, message: Message) -> dict[str, Any]:
        """Change the model from the next prompt on."""
        session = self._reopened()
        model, provider = self._permitted(str(message.get("model", "")), str(message.get("provider", "")))
        self._manager.session(session.name, model=model, provider=provider)
        self.mark()
        requested = state_of(session).requested
        return {
            "said": f"The next prompt goes to {requested.model or model} ({requested.provider or session.provider})."
        }

    def do_models(self, _message: Message) -> dict[str, Any]:
        """Ask the providers for their models, and return them."""
        if self._is_bound:
            return {"choices": self._choices(ask=True)}
        found = models.list_models(self._manager)
        return {"choices": [[provider, well_formed(info.model_id)] for provider, info in found.models]}

    def do_earlier(self, message: Message) -> dict[str, Any]:
        """Return the page of turns before the first one shown."""
        return self._deltas.earlier(int(message["before"]))

    def do_text(self, message: Message) -> dict[str, Any]:
        """Return an answer as the model wrote it."""
        turn = self._deltas.turn(message["turn"])
        record = turn.record if turn is not None else self._deltas.place(message["turn"])[0]
        return {"text": well_formed(record.text)}

    def do_thumbnail(self, message: Message) -> dict[str, Any]:
        """Return a small copy of one of a prompt's images."""
        with _SHRINKING:
            small = thumbnail(self._deltas.images(message["turn"])[int(message["index"])])
        return {"src": f"data:{small.mime_type};base64,{base64.b64encode(small.data).decode()}"}

    def do_usage(self, _message: Message) -> dict[str, Any]:
        """Return the session's usage."""
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
        """Return the model that the page chose, and its provider.

        A page that may choose only from a list learns only that its choice is not on it: the name could be one of the
        owner's files, aliases or providers.
        """
        if not self._is_bound:
            return model, provider
        for known_provider, known in self._choices(ask=True):
            if known == model and provider in ("", known_provider) and model not in self._manager.settings.aliases:
                return known, known_provider
        raise InputError("this model cannot be chosen here", "choose one from the list of models")

    def _choices(self, *, ask: bool = False) -> list[list[str]]:
        """Return the models to choose from, each with its provider; the providers are contacted only with `ask`."""
        providers = self._manager.providers
        if self._models is not None:
            named = [split(each, providers.names) for each in self._models]
            return [[provider or self.session.provider, model] for provider, model in named]
        known: list[list[str]] = []
        for name in [self.session.provider] if self.session.user else providers.chosen_names:
            with suppress(CopilotNBError):  # the provider is not installed, cannot be described, or does not answer
                if ask:
                    self._manager.loop.blocking(providers[name].list_models())
            with suppress(CopilotNBError):
                known += [[name, well_formed(model)] for model in providers[name].models]
        return known
