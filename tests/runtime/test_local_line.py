"""Prompts that wait in the embedded model's own line; llama.cpp is replaced, so that it is slow to the point."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import copilot_nb as cp
from copilot_nb.named_sessions.manager import Manager
from copilot_nb.providers.in_kernel import InKernel
from copilot_nb.providers.local.model import LocalModel
from copilot_nb.settings import CopilotNB

TIMEOUT_S, PIECE_S, PIECES = 1.5, 0.3, 8


class SlowServer:
    """A server that is never silent for the idle timeout, and longer at one answer than that."""

    is_alive = True

    def count(self, text: str) -> int:
        return len(text.split())

    async def stream(self, _body: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        for number in range(PIECES):
            await asyncio.sleep(PIECE_S)
            ended = "stop" if number == PIECES - 1 else None
            yield {"choices": [{"delta": {"content": f"{number} "}, "finish_reason": ended}]}
        yield {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": PIECES}}

    def close(self) -> None:
        """Free nothing."""


def test_a_prompt_in_the_line_of_the_model_does_not_time_out(
    own_manager: Callable[[], Manager], tmp_path: Path
) -> None:
    file = tmp_path / "slow.gguf"
    file.write_bytes(b"GGUF")
    model = LocalModel(CopilotNB(local_model_path=str(file)), parallel=1)
    model._load = lambda _path: SlowServer()  # type: ignore[assignment, method-assign, return-value]
    manager = own_manager()
    manager.providers.add(InKernel("slow", lambda: model))
    sessions = [manager.session(f"line-{number}", provider="slow") for number in range(2)]
    turns = [session.send("Count", timeout_s=TIMEOUT_S) for session in sessions]
    seen: set[str] = set()
    cp.wait(turns, on_update=lambda _turn: seen.update(turn.label.note for turn in turns))
    assert [turn.text.split() for turn in turns] == [[str(number) for number in range(PIECES)]] * 2
    assert "waits in the line of the model, place 1" in seen
    assert model.note("slow", sessions[0].session_id) == ""
