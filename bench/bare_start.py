"""The bare SDK, from nothing to the first token: a program without copilot_nb. Prints the seconds.

Called with the options of the session as JSON, so that both sides ask the runtime for the same work. The handler
answers in place of a model, at once.
"""

import time

BEGAN_S = time.perf_counter()

import asyncio  # noqa: E402 - the clock runs while these are imported
import json  # noqa: E402
import sys  # noqa: E402

import httpx  # noqa: E402
from copilot import CopilotClient, CopilotRequestContext, CopilotRequestHandler  # noqa: E402
from copilot.session_events import SessionEvent, SessionEventType  # noqa: E402


class Scripted(CopilotRequestHandler):
    """Answers in place of a model: three chunks, as a provider streams them."""

    async def send_request(self, _request: httpx.Request, _ctx: CopilotRequestContext) -> httpx.Response:
        """Answer any request."""
        head = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "scripted"}
        delta = {"role": "assistant", "content": "ANSWER"}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        chunks = (
            head | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]},
            head | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
            head | {"choices": [], "usage": usage},
        )
        body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=body.encode())


async def main() -> None:
    """Start, ask, and stop the clock at the first token."""
    client = CopilotClient(request_handler=Scripted())
    await client.start()
    session = await client.create_session(**json.loads(sys.argv[1]))
    came = asyncio.Event()

    def on_event(event: SessionEvent) -> None:
        if event.type is SessionEventType.ASSISTANT_MESSAGE_DELTA and not came.is_set():
            print(time.perf_counter() - BEGAN_S)
            came.set()

    session.on(on_event)
    await session.send("hello")
    await came.wait()
    await client.stop()


asyncio.run(main())
