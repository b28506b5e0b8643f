"""What every panel is: a widget that shows what sessions do, and asks for something to be done.

The page is told by custom messages, never by traits: those would be sent whole at each change, and from the page they
get stuck while a cell runs. There are three kinds:

- ``{"seq": n, "kind": "whole", "re": id, ...}``: all there is to show (`Panel.whole`), the answer to the page's hello;
  ``re`` is ``""`` where nobody asked and every view must begin anew;
- ``{"seq": n, "kind": "news", "items": [...]}``: what has changed since (`Panel.news`), twelve times a second at most;
  in both, ``version`` is that of the transcript that a saved notebook shows (see `static_output`);
- ``{"re": id, "seq": n, "ok": true, ...}`` or ``{... "error": "one line"}``: what came of something that was asked for;
  ``seq`` is what was told last.

A server under load drops messages. The page sees that by a gap in `seq`, and says hello again; it asks for an answer
(``{"do": "seq"}``) where it expected to hear something. What it asked for and heard no answer to, it asks for again by
the same id: then it is told the answer it has missed, or ``{"re": id, "waits": true}``; nothing is done twice, so what
came of each is remembered for good: it is a line. What may be done twice (`REPEATABLE`) is remembered until it is done.
A copy that came by the other way, maybe long after (``try`` tells it from a message that is sent again), is not
answered.

The page asks by ``{"do": "stop", "id": ..., ...}``, which is the method ``do_stop`` here. It gets the message and
returns what is added to the answer. What is `AT_ONCE` has a thread of its own, where a session's blocking calls may be
made. All else is done by one thread in the order of the page, so that no prompt overtakes one whose expressions take
long. Such a message names the one before it, ``after``, while that has no answer: if it comes first, because the other
was lost or is large, it is left to be sent again.

A kernel hands a comm's message to the thread of the cell that runs, unless there are subshells. ipykernel 7.4 has them,
and yet routes a message to the shell that was the last to publish on that comm, so the panel would wait for the cell;
`_serve_at_once` undoes that for this one comm. What is not taken within a moment comes again on the control channel
(`control_channel`).
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import anywidget
from traitlets import Unicode

from copilot_nb.errors import CopilotNBError, InputError
from copilot_nb.panels.assets import styles
from copilot_nb.panels.control_channel import listen
from copilot_nb.panels.places import shown
from copilot_nb.panels.static_output import StaticOutput, Transcript, settled
from copilot_nb.panels.worker import Worker

if TYPE_CHECKING:
    from copilot_nb.named_sessions.manager import Manager
    from copilot_nb.named_sessions.session import Event

log = logging.getLogger("copilot_nb")

REPEATABLE = frozenset({"csv", "earlier", "keep", "models", "text", "thumbnail", "usage"})
"""What may be done twice; a page asks for these often, and their answers are large."""
AT_ONCE = REPEATABLE | {"stop"}
"""What is done without waiting for what was asked for before."""

MAX_HEARD = 1000
"""How many of the last messages are told from their copies (count)."""

Message = Mapping[str, Any]

_WAITS: Message = {"waits": True}


class Panel(anywidget.AnyWidget):
    """A view of sessions; what a subclass shows is in `whole`, `news` and `noted`, what it does in its ``do_…``.

    Parameters
    ----------
    manager : Manager
        Whose sessions it shows.
    """

    _esm = ""
    _css = styles()
    panel_id = Unicode(help="What the page calls the panel, where it says that itself: the id of its comm.").tag(
        sync=True
    )

    def __init__(self, manager: Manager) -> None:
        self._manager = manager
        self._seq = 0
        self._heard: deque[tuple[str, int]] = deque(maxlen=MAX_HEARD)
        self._hellos: set[str] = set()  # those that are yet to be answered
        self._answers: dict[str, Message] = {}  # what was asked for came to, by its id
        self._hearing = threading.Lock()
        self._teller = Worker(self._tell)
        self._worker = Worker(lambda: None)  # it does what the page asks for, and has no news
        self._unwatch: Callable[[], None] = lambda: None
        self._is_resting = False
        panel_id = uuid4().hex
        self._static_output = StaticOutput(
            panel_id, self.transcript, lambda: manager.loop.blocking(settled()), self.mark
        )
        self._told_version = 0
        super().__init__(panel_id=panel_id, model_id=panel_id)
        _serve_at_once(self.comm)
        listen(self.comm, self.panel_id, self)
        self.on_msg(self._received)
        self._unwatch = manager.events.add(self._watch)

    def whole(self) -> dict[str, Any]:
        """Return all there is to show; what is told from here on is news to it (on the panel's thread)."""
        raise NotImplementedError

    def news(self) -> list[dict[str, Any]]:
        """Return what has changed since it was last told (on the panel's thread)."""
        raise NotImplementedError

    def wants(self, event: Event) -> bool:  # noqa: ARG002 - that of a subclass looks
        """Whether the panel is concerned; asked on the loop's thread, a hundred times a second."""
        return True

    def noted(self, event: Event) -> None:
        """Remember that something has changed (on the panel's thread); `news` is asked for soon after."""

    def transcript(self) -> Transcript:
        """Return what a saved notebook shows in place of the panel; see `static_output`."""
        raise NotImplementedError

    def do_keep(self, _message: Message) -> dict[str, Any]:
        """Return the transcript, for the page to put into the notebook."""
        return {"transcript": self._static_output.keep()}

    def begin_anew(self) -> None:
        """Have every view show `whole` (from any thread): what it has may be wrong."""
        self._teller.put(self._say_whole)

    def mark(self) -> None:
        """Have `news` told soon (from any thread)."""
        self._teller.put(self._teller.mark)

    def close(self) -> None:
        """Take the panel away; the sessions stay."""
        if hasattr(self, "_teller"):  # not so where a panel could not be made
            self._unwatch()
            self._static_output.close()
            self._teller.stop()
            self._worker.stop()
        super().close()

    def rest(self) -> None:
        """Tell the pages no more, until one says hello: none shows the panel."""
        self._unwatch()
        self._unwatch = lambda: None
        self._is_resting = True
        self._teller.rest()
        self._worker.rest()

    def _resume(self) -> None:
        self._is_resting = False
        self._unwatch = self._manager.events.add(self._watch)

    def _watch(self, event: Event) -> None:
        if self.wants(event):
            self._static_output.noted(event)
            self._teller.put(partial(self._noted, event))

    def _ipython_display_(self) -> None:
        bundle, metadata = self._repr_mimebundle_() or ({}, {})  # none where the front end has no widgets
        shown(self)
        text = f"{self!r}: to use it here, trust this notebook, or run this cell"
        self._static_output.show({**bundle, "text/plain": text}, metadata)

    def _noted(self, event: Event) -> None:
        self.noted(event)
        self._teller.mark()

    def _tell(self) -> None:
        items, version = self.news(), self._static_output.version
        if items or version != self._told_version:
            self._told_version = version
            self._say({"kind": "news", "items": items, "version": version})

    def _say_whole(self, asked_by: str = "") -> None:
        try:
            self._told_version = self._static_output.version
            self._say({"kind": "whole", "re": asked_by, "version": self._told_version, **self.whole()})
        except CopilotNBError as error:
            refusal = {"error": str(error)}
            self._answer({"id": asked_by}, lambda: refusal)
        finally:
            self._hellos.discard(asked_by)

    def _say(self, message: dict[str, Any]) -> None:
        self._seq += 1
        self.send({"seq": self._seq, **message})

    def _answer(self, message: Message, answer: Callable[[], Message]) -> None:
        self.send({"re": message.get("id", ""), "seq": self._seq, **answer()})

    def _received(self, _widget: object, message: Message, _buffers: object) -> None:
        self.hear(message)

    def hear(self, message: Message, /) -> None:
        """Take what the page asks for (from any thread); what is asked again by the same id is not done again."""
        this = str(message.get("id", "")), int(message.get("try", 1))
        with self._hearing:
            if this not in self._heard and not self._is_early(message):
                self._heard.append(this)
                self._take(message)

    def _is_early(self, message: Message) -> bool:
        """Whether the message before it has not come yet, and it must wait for that one."""
        before = message.get("after", "")
        return bool(before) and message.get("do") not in AT_ONCE and before not in self._answers

    def _take(self, message: Message) -> None:
        asked = str(message.get("id", ""))
        match message.get("do"):
            case "hello" if asked not in self._hellos:
                if self._is_resting:
                    self._resume()
                if message.get("keeps"):
                    self._static_output.ask_only()
                self._hellos.add(asked)
                self._teller.put(partial(self._say_whole, asked))
            case "hello":
                pass
            case "seq":
                self._teller.put(partial(self._answer, message, lambda: {"ok": True}))
            case _ if asked in self._answers:
                self._teller.put(partial(self._answer, message, lambda: self._answers.get(asked, _WAITS)))
            case _:
                self._answers[asked] = _WAITS
                self._start(message)

    def _start(self, message: Message) -> None:
        if message.get("do") in AT_ONCE:
            threading.Thread(target=self._serve, args=(message,), name="copilot-nb-do", daemon=True).start()
        else:
            self._worker.put(partial(self._serve, message))

    def _serve(self, message: Message) -> None:
        answer: dict[str, Any]
        try:
            answer = {"ok": True, **(self._act(message) or {})}
        except CopilotNBError as error:
            answer = {"error": str(error)}
        except Exception as error:  # whatever went wrong is shown where it was asked for
            log.exception("a panel of copilot_nb could not %s", message.get("do"))
            answer = {"error": f"{type(error).__name__}: {error}"}
        asked = str(message.get("id", ""))
        with self._hearing:
            if message.get("do") in REPEATABLE:
                del self._answers[asked]
            else:
                self._answers[asked] = answer
        self._teller.put(partial(self._answer, message, lambda: answer))

    def _act(self, message: Message) -> Message | None:
        act: Callable[[Message], Message | None] | None = getattr(self, f"do_{message.get('do')}", None)
        if act is None:
            raise InputError(f"this panel cannot {message.get('do')}")
        return act(message)


def _serve_at_once(comm: object) -> None:
    if hasattr(comm, "_reply_subshell_for"):
        comm._reply_subshell_for = lambda _data, default: default  # noqa: SLF001 - there is no other way to say it
