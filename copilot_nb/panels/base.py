"""Base class of the panels: the kernel side of the panel protocol.

Panel and page exchange custom messages, never traits: a trait is sent whole at each change, and a trait that the page
changes is not received while a cell runs. The panel sends three kinds of messages:

- ``{"seq": n, "kind": "whole", "re": id, ...}``: the complete state (`Panel.whole`), in answer to the page's hello;
  ``re`` is ``""`` if no page asked and every view must start over;
- ``{"seq": n, "kind": "news", "items": [...]}``: the changes since then (`Panel.news`), at most twelve times a second;
  in both, ``version`` is the version of the transcript that a saved notebook shows (see `static_output`);
- ``{"re": id, "seq": n, "ok": true, ...}`` or ``{... "error": "one line"}``: the result of a request; ``seq`` is the
  number of the last message of the first two kinds.

A server under load drops messages. The page detects a lost message by a gap in `seq` and says hello again; if it
expected a message and none came, it asks for the current number (``{"do": "seq"}``). The page repeats an unanswered
request with the same id, and receives the answer that it missed, or ``{"re": id, "waits": true}``. A request is
executed once, however often it arrives: the panel keeps its result for good, which is one line. Only the `REPEATABLE`
requests, which change nothing and have large answers, are forgotten once they are answered, and executed again if they
are repeated. A copy of a message that arrives on the other channel, maybe much later, is ignored (``try`` distinguishes
it from a repeated request).

A request ``{"do": "stop", "id": ..., ...}`` calls the method ``do_stop``, which takes the message and returns fields
for the answer. Each `AT_ONCE` request runs in its own thread, which may make a session's blocking calls. All other
requests run on one thread in the page's order, so that no prompt overtakes one whose expressions take long. Such a
request names the request before it in ``after`` while that has no answer. If it arrives before its predecessor, which
was lost or is large, the panel ignores it, and the page sends it again.

A kernel without subshells handles comm messages on the thread that runs the cells. ipykernel 7.4 has subshells, but
routes a message to the shell that last published on that comm, so the panel would wait for the running cell;
`_serve_at_once` undoes that for this comm. A message that is not handled within a moment is sent again on the control
channel (`control_channel`).

Why: docs/decisions/0018-messages-may-be-lost.md and docs/decisions/0025-requests-in-order.md.
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
from copilot_nb.panels.approvals import Asks
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
"""Requests that change nothing, so they may be executed twice; they are frequent, and their answers are large."""
AT_ONCE = REPEATABLE | {"decide", "stop"}
"""Requests that do not wait for earlier requests."""

MAX_REMEMBERED = 1000
"""How many of the last messages are remembered to recognise their copies (count)."""

Message = Mapping[str, Any]

_WAITS: Message = {"waits": True}


class Panel(anywidget.AnyWidget):
    """A view of sessions. A subclass defines its contents in `whole`, `news` and `noted`, its requests in ``do_…``.

    Parameters
    ----------
    manager : Manager
        Owns the sessions to show.
    """

    _esm = ""
    _css = styles()
    _asks: Asks | None = None  # what the panel's sessions ask, if it shows that
    panel_id = Unicode(help="The panel's id on the page and on the control channel: the id of its comm.").tag(sync=True)

    def __init__(self, manager: Manager) -> None:
        self._manager = manager
        self._seq = 0
        self.views = 0  # pages that have said hello, or one page again
        self._received_ids: deque[tuple[str, int]] = deque(maxlen=MAX_REMEMBERED)
        self._hellos: set[str] = set()  # unanswered hellos, by id
        self._answers: dict[str, Message] = {}  # results of requests, by id
        self._receiving = threading.Lock()
        self._sender = Worker(self._send_news)
        self._worker = Worker(lambda: None)  # executes the page's requests; sends no news
        self._unwatch: Callable[[], None] = lambda: None
        self._is_resting = False
        panel_id = uuid4().hex
        self._static_output = StaticOutput(
            panel_id, self.transcript, lambda: manager.loop.blocking(settled()), self.mark
        )
        self._sent_version = 0
        super().__init__(panel_id=panel_id, model_id=panel_id)
        _serve_at_once(self.comm)
        listen(self.comm, self.panel_id, self)
        self.on_msg(self._received)
        self._unwatch = manager.events.add(self._watch)

    def whole(self) -> dict[str, Any]:
        """Return the complete state to show; `news` then returns the changes since (on the panel's thread)."""
        raise NotImplementedError

    def news(self) -> list[dict[str, Any]]:
        """Return the changes since the last `whole` or `news` (on the panel's thread)."""
        raise NotImplementedError

    def wants(self, event: Event) -> bool:  # noqa: ARG002 - subclasses use it
        """Whether the event may change the panel; called on the loop's thread, a hundred times a second."""
        return True

    def noted(self, event: Event) -> None:
        """Record an event (on the panel's thread); `news` is called soon after."""

    def transcript(self) -> Transcript:
        """Return the transcript that a saved notebook shows instead of the panel; see `static_output`."""
        raise NotImplementedError

    def do_decide(self, message: Message) -> dict[str, Any]:
        """Decide a request for permission, or answer a question.

        Raises
        ------
        InputError
            If the panel does not show it, or cannot decide it.
        """
        if self._asks is None:
            raise InputError("this panel shows no requests")
        return self._asks.decide(message)

    def do_keep(self, _message: Message) -> dict[str, Any]:
        """Return the transcript, which the page stores in the notebook."""
        return {"transcript": self._static_output.keep()}

    def start_over(self) -> None:
        """Make every view show `whole` again, because it may be wrong (from any thread)."""
        self._sender.put(self._send_whole)

    def mark(self) -> None:
        """Send `news` soon (from any thread)."""
        self._sender.put(self._sender.mark)

    def close(self) -> None:
        """Remove the panel; its sessions stay."""
        if hasattr(self, "_sender"):  # missing if `__init__` failed
            self._unwatch()
            self._unattend()
            self._static_output.close()
            self._sender.stop()
            self._worker.stop()
            self.layout.close()  # a model of its own, which the widget does not close
        super().close()

    def rest(self) -> None:
        """Send nothing until a page says hello, because no page shows the panel."""
        self._unwatch()
        self._unwatch = lambda: None
        self._is_resting = True
        self._unattend()
        self._sender.rest()
        self._worker.rest()

    def _unattend(self) -> None:
        if self._asks is not None:
            self._asks.leave()

    def _resume(self) -> None:
        self._is_resting = False
        self._unwatch = self._manager.events.add(self._watch)

    def _watch(self, event: Event) -> None:
        if self.wants(event):
            self._static_output.noted(event)
            self._sender.put(partial(self._noted, event))

    def _ipython_display_(self) -> None:
        bundle, metadata = self._repr_mimebundle_() or ({}, {})  # None if the front end has no widgets
        shown(self)
        text = f"{self!r}: to use it here, trust this notebook, or run this cell"
        self._static_output.show({**bundle, "text/plain": text}, metadata)

    def _noted(self, event: Event) -> None:
        self.noted(event)
        self._sender.mark()

    def _send_news(self) -> None:
        items, version = self.news(), self._static_output.version
        if items or version != self._sent_version:
            self._sent_version = version
            self._send_numbered({"kind": "news", "items": items, "version": version})

    def _send_whole(self, asked_by: str = "") -> None:
        try:
            self._sent_version = self._static_output.version
            self._send_numbered({"kind": "whole", "re": asked_by, "version": self._sent_version, **self.whole()})
        except CopilotNBError as error:
            refusal = {"error": str(error)}
            self._answer({"id": asked_by}, lambda: refusal)
        finally:
            self._hellos.discard(asked_by)

    def _send_numbered(self, message: dict[str, Any]) -> None:
        self._seq += 1
        self.send({"seq": self._seq, **message})

    def _answer(self, message: Message, answer: Callable[[], Message]) -> None:
        self.send({"re": message.get("id", ""), "seq": self._seq, **answer()})

    def _received(self, _widget: object, message: Message, _buffers: object) -> None:
        self.receive(message)

    def receive(self, message: Message, /) -> None:
        """Handle a request of the page (from any thread); a request repeated with the same id is not executed again."""
        this = str(message.get("id", "")), int(message.get("try", 1))
        with self._receiving:
            if this not in self._received_ids and not self._is_early(message):
                self._received_ids.append(this)
                self._take(message)

    def _is_early(self, message: Message) -> bool:
        """Whether the message must wait for its predecessor, which has not arrived."""
        before = message.get("after", "")
        return bool(before) and message.get("do") not in AT_ONCE and before not in self._answers

    def _take(self, message: Message) -> None:
        asked = str(message.get("id", ""))
        match message.get("do"):
            case "hello" if asked not in self._hellos:
                if self._is_resting:
                    self._resume()
                if self._asks is not None:
                    self._asks.attend()
                if message.get("keeps"):
                    self._static_output.ask_only()
                self.views += 1
                self._hellos.add(asked)
                self._sender.put(partial(self._send_whole, asked))
            case "hello":
                pass
            case "seq":
                self._sender.put(partial(self._answer, message, lambda: {"ok": True}))
            case _ if asked in self._answers:
                self._sender.put(partial(self._answer, message, lambda: self._answers.get(asked, _WAITS)))
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
        except Exception as error:  # the page that sent the request shows the error
            log.exception("a panel of copilot_nb could not %s", message.get("do"))
            answer = {"error": f"{type(error).__name__}: {error}"}
        asked = str(message.get("id", ""))
        with self._receiving:
            if message.get("do") in REPEATABLE:
                del self._answers[asked]
            else:
                self._answers[asked] = answer
        self._sender.put(partial(self._answer, message, lambda: answer))

    def _act(self, message: Message) -> Message | None:
        act: Callable[[Message], Message | None] | None = getattr(self, f"do_{message.get('do')}", None)
        if act is None:
            raise InputError(f"this panel cannot {message.get('do')}")
        return act(message)


def _serve_at_once(comm: object) -> None:
    if hasattr(comm, "_reply_subshell_for"):
        comm._reply_subshell_for = lambda _data, default: default  # noqa: SLF001 - ipykernel has no setting
