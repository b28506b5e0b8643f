"""Turns in the background of a real kernel, as a live front end sees them on the wire."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import start_new_kernel

from tests.forked_kernels import FORKED

SET_UP = """
%load_ext copilot_nb
import copilot_nb.testing as t
model = t.ScriptedModel(lambda request: f"{request.prompt} " * 20, chunk_delay_s=0.02)
t.install(model)
"""


@pytest.fixture
def client(forked_kernels: None) -> Iterator[BlockingKernelClient]:
    manager, client = start_new_kernel(kernel_name=FORKED)
    run(client, SET_UP)
    yield client
    client.stop_channels()
    client.context.destroy(linger=0)
    manager.shutdown_kernel()


def run(client: BlockingKernelClient, code: str) -> list[dict[str, Any]]:
    """Run a cell as a front end that takes input does; return all messages until it is idle.

    Those of other cells are among them: an update in the background may be stamped with the cell before.
    """
    asked = ask(client, code)
    messages: list[dict[str, Any]] = []
    while not messages or not _is_end(messages[-1], asked):
        messages.append(client.get_iopub_msg(timeout=60))
    reply = client.get_shell_msg(timeout=60)
    assert reply["content"]["status"] == "ok", reply["content"]
    return messages


def ask(client: BlockingKernelClient, code: str) -> str:
    """Have a cell run as a page does, which tells its id, and return the id of the request."""
    content = {"code": code, "silent": False, "allow_stdin": True, "stop_on_error": True}
    request = client.session.msg("execute_request", content, metadata={"cellId": "c1"})
    client.shell_channel.send(request)
    return str(request["header"]["msg_id"])


def _is_end(message: dict[str, Any], asked: str) -> bool:
    is_idle = message["msg_type"] == "status" and message["content"]["execution_state"] == "idle"
    return is_idle and message["parent_header"].get("msg_id") == asked


def displays(messages: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    """Return the last content of each display, by its id."""
    contents = [message["content"] for message in messages if message["msg_type"] == kind]
    return {content["transient"]["display_id"]: content for content in contents}


def test_ten_cells_stream_at_once_each_into_its_own_output(client: BlockingKernelClient) -> None:
    messages, owner = [], {}
    for number in range(10):
        cell = run(client, f"%%copilot s{number} -b\nword{number}")
        (display_id,) = displays(cell, "display_data")
        owner[display_id] = f"word{number}"
        messages += cell
    messages += run(client, "%copilot wait")
    final = displays(messages, "update_display_data")
    while any("copilot_nb" not in final[display_id]["metadata"] for display_id in owner):
        # another thread sends it: the kernel may say before that the cell has ended
        final |= displays([client.get_iopub_msg(timeout=60)], "update_display_data")
    for display_id, word in owner.items():
        assert final[display_id]["data"]["text/plain"].split() == [word] * 20
        assert final[display_id]["metadata"]["copilot_nb"]["state"] == "done"


def test_the_cell_returns_before_the_answer_and_another_runs_meanwhile(client: BlockingKernelClient) -> None:
    run(client, "model.hold()")
    (display_id,) = displays(run(client, "%%copilot slow -b -o turn\nx"), "display_data")
    messages = run(client, "print('meanwhile', turn.done); model.release()")
    streams = [m["content"]["text"] for m in messages if m["msg_type"] == "stream"]
    assert "".join(streams) == "meanwhile False\n"
    messages += run(client, "%copilot wait slow")
    assert displays(messages, "update_display_data")[display_id]["data"]["text/plain"].startswith("x x")


def test_a_failure_in_the_background_is_shown_in_its_cell_and_raised_by_wait(client: BlockingKernelClient) -> None:
    run(client, "t.install(t.ScriptedModel([t.Reply(error=t.ChatError(400, 'no such luck'))]))")
    (display_id,) = displays(run(client, "%%copilot bad -b\nx"), "display_data")
    messages: list[dict[str, Any]] = []
    reply = client.execute_interactive("%copilot wait", allow_stdin=True, timeout=60, output_hook=messages.append)
    assert reply["content"]["ename"] == "TurnFailed"
    assert "no such luck" in reply["content"]["evalue"]
    assert "no such luck" in displays(messages, "update_display_data")[display_id]["data"]["text/html"]


def test_without_a_page_the_cell_waits(client: BlockingKernelClient) -> None:
    messages: list[dict[str, Any]] = []
    client.execute_interactive("%%copilot a -b\nx", allow_stdin=False, timeout=60, output_hook=messages.append)
    (content,) = displays(messages, "update_display_data").values()
    assert content["data"]["text/plain"].split() == ["x"] * 20


def test_several_sessions_have_one_output_with_a_column_each(client: BlockingKernelClient) -> None:
    messages = run(client, "%%copilot a b c --create\nhello")
    (content,) = displays(messages, "update_display_data").values()
    assert content["data"]["text/html"].count("<section") == 3
    assert content["data"]["text/plain"].count("## ") == 3
    assert [turn["session"] for turn in content["metadata"]["copilot_nb"]["turns"]] == ["a", "b", "c"]


def test_a_console_which_takes_no_updates_is_shown_the_answer_as_text(client: BlockingKernelClient) -> None:
    messages: list[dict[str, Any]] = []
    client.execute_interactive("%copilot ask console x", allow_stdin=True, timeout=60, output_hook=messages.append)
    printed = "".join(message["content"]["text"] for message in messages if message["msg_type"] == "stream")
    assert printed.split()[:20] == ["x"] * 20
    assert not displays(messages, "display_data")
