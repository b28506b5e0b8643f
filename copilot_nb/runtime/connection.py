"""A session that the runtime has loaded: takes prompts, yields changes of its transcript."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from copilot.generated import rpc
from copilot.session import Attachment, BlobAttachment

from copilot_nb.runtime.events import changes, decided_line, keep_line
from copilot_nb.runtime.sdk_errors import translated

if TYPE_CHECKING:
    from copilot import CopilotClient, CopilotSession
    from copilot.session_events import SessionEvent

    from copilot_nb.conversation.changes import Change
    from copilot_nb.conversation.parts import Decision, Image
    from copilot_nb.conversation.transcript import TurnRecord
    from copilot_nb.runtime.session_tools import SessionTools
    from copilot_nb.runtime.tools import Toolkit

log = logging.getLogger(__name__)


class Connection:
    """A loaded session; made by `RuntimeClient.open`.

    Parameters
    ----------
    client : CopilotClient
        The SDK's client.
    session : CopilotSession
        The SDK's handle.
    on_change : callable
        Called on the loop's thread with each `Change`, in order.
    on_fault : callable
        Called with an exception that handling an event raised; the SDK itself would only log it.
    tools : SessionTools
        The tools it was opened with.
    """

    def __init__(
        self,
        client: CopilotClient,
        session: CopilotSession,
        on_change: Callable[[Change], None],
        on_fault: Callable[[Exception], None],
        tools: SessionTools,
    ) -> None:
        self.session_id = session.session_id
        self._tools = tools
        self._client = client
        self._session = session
        self._on_change = on_change
        self._on_fault = on_fault
        session.on(self._handle)

    def _handle(self, event: SessionEvent) -> None:
        try:
            for change in changes(event):
                self._on_change(change)
        except Exception as error:  # the border to the SDK, which swallows what a handler raises
            log.exception("an event of session %s could not be handled", self.session_id)
            self._on_fault(error)

    async def send(self, prompt: str, display_prompt: str | None = None, images: Sequence[Image] = ()) -> str:
        """Send a prompt and return its message id; `display_prompt` is what the history keeps in its place."""
        attachments: list[Attachment] = [_blob(image) for image in images]
        async with translated(f"sending to {self.session_id}"):
            return await self._session.send(prompt, display_prompt=display_prompt, attachments=attachments or None)

    async def abort(self) -> None:
        """Stop the turn under way, if there is one."""
        async with translated(f"stopping {self.session_id}"):
            await self._session.abort()

    @property
    def folder(self) -> str:
        """The runtime's working folder."""
        return self._tools.folder

    @property
    def toolkit(self) -> Toolkit:
        """The tools it has."""
        return self._tools.toolkit

    async def use(self, toolkit: Toolkit) -> None:
        """Give the session other tools from its next request on; see `Toolkit.needs_reload`."""
        before, self._tools.toolkit = self._tools.toolkit, toolkit
        options = rpc.SessionUpdateOptionsParams(available_tools=toolkit.available)
        try:
            async with translated(f"changing the tools of {self.session_id}"):
                await self._session.set_tools(self._tools.definitions())
                await self._session.rpc.options.update(options)
        except BaseException:  # the next prompt tries it again
            self._tools.toolkit = before
            raise

    async def keep_decision(self, call_id: str, decision: Decision, question: str = "") -> None:
        """Write a decision about a call of a tool, or what came of a `question` of it, to the session's log."""
        async with translated(f"keeping a decision of {self.session_id}"):
            await self._session.log(decided_line(call_id, decision, question))

    async def keep(self, turn: TurnRecord) -> None:
        """Write an interrupted turn to the session's log."""
        async with translated(f"keeping the interrupted turn of {self.session_id}"):
            await self._session.log(keep_line(turn))

    async def annotate(self, entries: Mapping[str, str]) -> None:
        """Store `entries` in the session's own metadata (keys ≤ 256 bytes, values ≤ 16 KiB)."""
        async with translated(f"annotating {self.session_id}"):
            request = rpc.MetadataUpdateClientMetadataRequest(set=dict(entries))
            await self._session.rpc.metadata.update_client_metadata(request)

    async def rename(self, title: str) -> None:
        """Give the session the title that the runtime lists it under."""
        async with translated(f"renaming {self.session_id}"):
            await self._session.rpc.name.set(rpc.NameSetRequest(name=title))

    async def truncate(self, event_id: str) -> None:
        """Remove an event and all later ones, from the log and from the model's context.

        Raises
        ------
        SessionError
            If the runtime cannot.
        """
        async with translated(f"going back in {self.session_id}"):
            await self._session.rpc.history.truncate(rpc.HistoryTruncateRequest(event_id=event_id))

    async def tokens(self) -> int:
        """Return how many tokens the session has used so far, as the runtime counts them."""
        async with translated(f"asking what {self.session_id} has taken"):
            metrics = (await self._session.rpc.usage.get_metrics()).model_metrics.values()
        return sum(metric.usage.input_tokens + metric.usage.output_tokens for metric in metrics)

    async def set_effort(self, effort: str) -> None:
        """Set the model's reasoning effort from now on; ``""``: its default."""
        async with translated(f"setting the reasoning effort of {self.session_id}"):
            request = rpc.ModelSetReasoningEffortRequest(reasoning_effort=effort)
            await self._session.rpc.model.set_reasoning_effort(request)

    async def flush(self) -> None:
        """Have the runtime write the session's log to disk now (it does so with a delay)."""
        async with translated(f"saving session {self.session_id}"):
            await self._client.rpc.sessions.save(rpc.SessionsSaveRequest(session_id=self.session_id))

    async def close(self) -> None:
        """Unload the session; its history stays on disk."""
        async with translated(f"closing {self.session_id}"):
            await self._session.disconnect()


def _blob(image: Image) -> BlobAttachment:
    data = base64.b64encode(image.data).decode()
    return BlobAttachment(type="blob", data=data, mimeType=image.mime_type, displayName=image.name)
