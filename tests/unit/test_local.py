"""The parts of the embedded model that need no model."""

from __future__ import annotations

from pathlib import Path

import pytest

from copilot_nb.runtime.providers import llama
from copilot_nb.runtime.providers.chat import ChatError, FunctionCall, Message
from copilot_nb.runtime.providers.local import LOCAL_PRESETS, MESSAGE_TOKENS, fit, presets

SYSTEM = Message("system", "Be kind.")


def words(text: str) -> int:
    return len(text.split())


def conversation(exchanges: int) -> list[Message]:
    """Make exchanges of 20 tokens each, the last one without an answer, after a system message of 10."""
    said = [Message(role, f"{role} {i}") for i in range(exchanges) for role in ("user", "assistant")]
    return [SYSTEM, *said[:-1]]


def kept(exchanges: int, room_tokens: int) -> list[str]:
    return [m.text for m in fit(conversation(exchanges), room_tokens, words)[0]]


def test_short_conversations_stay_whole() -> None:
    assert fit(conversation(3), 1000, words) == (conversation(3), 10 + 2 * 20 + 10)


def test_long_conversations_keep_the_system_message_and_the_latest() -> None:
    texts = kept(40, 210)
    assert texts[0] == "Be kind."
    assert texts[1].startswith("user")
    assert texts[-1] == "user 39"
    assert len(texts) * (MESSAGE_TOKENS + 2) <= 210


def test_what_is_dropped_stays_the_same_for_many_turns() -> None:
    beginnings = [kept(n, 210)[1] for n in range(11, 41)]
    assert len(set(beginnings)) <= len(beginnings) / 5 + 1


@pytest.mark.parametrize("exchanges", range(1, 60))
def test_whatever_the_length_it_fits(exchanges: int) -> None:
    messages, tokens = fit(conversation(exchanges), 100, words)
    assert tokens == sum(words(m.text) + MESSAGE_TOKENS for m in messages) <= 100


def test_too_long_a_prompt_is_refused_with_numbers() -> None:
    with pytest.raises(ChatError, match="508 tokens, and there is room for 90") as caught:
        fit([SYSTEM, Message("user", "word " * 500)], 100, words)
    assert (caught.value.status, caught.value.code) == (400, "context_length_exceeded")


def test_a_conversation_without_a_prompt_is_refused() -> None:
    with pytest.raises(ChatError):
        fit([SYSTEM], 100, words)


def test_what_a_small_model_cannot_use_is_left_out() -> None:
    messages = [
        Message("user", "look"),
        Message("assistant", "", (FunctionCall("look"),)),
        Message("tool", "seen", call_id="1"),
        Message("assistant", "I saw it."),
        Message("user", "thanks"),
    ]
    assert [m.text for m in fit(messages, 1000, words)[0]] == ["look", "I saw it.", "thanks"]


def test_presets_are_named_after_the_file() -> None:
    assert [p.model_id for p in presets(Path("/x/Qwen3-0.6B-Q8_0.gguf"))] == [
        "Qwen3-0.6B-Q8_0",
        "Qwen3-0.6B-Q8_0:creative",
    ]
    assert [p.model_id for p in LOCAL_PRESETS] == ["smollm2-135m", "smollm2-135m:creative"]


def test_the_default_preset_is_the_cooler_one() -> None:
    plain, creative = LOCAL_PRESETS
    assert plain.temperature < creative.temperature
    assert plain.sampling()["dry_allowed_length"] == 6


@pytest.mark.parametrize(("limit", "threads"), [("max 100000", 3), ("200000 100000", 1), ("20000 100000", 1)])
def test_threads_leave_a_processor_and_keep_a_containers_limit(
    limit: str, threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpu.max").write_text(limit + "\n")
    monkeypatch.setattr(llama, "_CGROUP_CPU_LIMIT", tmp_path / "cpu.max")
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(4)), raising=False)
    assert llama.default_threads() == threads
