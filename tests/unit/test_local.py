"""The parts of the embedded model that need no model."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from copilot_nb.errors import ProviderError
from copilot_nb.providers.chat import ChatError, Message
from copilot_nb.providers.local import hugging_face, llama
from copilot_nb.providers.local.hugging_face import HubFile
from copilot_nb.providers.local.model import _merge
from copilot_nb.providers.local.model_names import LocalNames
from copilot_nb.providers.local.presets import preset
from copilot_nb.providers.local.window import MESSAGE_TOKENS, fit
from copilot_nb.providers.pieces import Finish, FunctionCall, Piece, Thought
from copilot_nb.settings import CopilotNB

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


def test_thoughts_that_the_engine_separates_stay_separate() -> None:
    async def events() -> AsyncGenerator[dict[str, Any], None]:
        for delta in ({"reasoning_content": "Hm."}, {"content": "Hello."}):
            yield {"choices": [{"delta": delta, "finish_reason": None}]}
        yield {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}

    async def pieces() -> list[Piece]:
        return [piece async for piece in _merge(events())]

    assert asyncio.run(pieces()) == [Thought("Hm."), "Hello.", Finish("stop", 1, 2)]


def test_the_default_preset_is_the_cooler_one() -> None:
    plain, creative = preset("m"), preset("m:creative")
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


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder with two model files, go there, and let huggingface_hub count as installed."""
    for name in ("SmolLM2-135M-Instruct.Q4_1.gguf", "My-Model.Q8_0.gguf"):
        (tmp_path / name).write_bytes(b"GGUF")
    monkeypatch.setattr(hugging_face, "require", lambda _: None)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def names(folder: Path) -> LocalNames:
    listed = {"mine": str(folder / "My-Model.Q8_0.gguf"), "far": "owner/repo:Q8_0"}
    path = str(folder / "SmolLM2-135M-Instruct.Q4_1.gguf")
    return LocalNames(CopilotNB(local_model_path=path, local_models=listed))


def test_the_default_and_the_listed_models_are_known_with_two_presets_each(names: LocalNames) -> None:
    assert names.model_ids == (
        "smollm2-135m",
        "smollm2-135m:creative",
        "mine",
        "mine:creative",
        "far",
        "far:creative",
    )


@pytest.mark.parametrize(
    ("typed", "full", "file"),
    [
        ("", "smollm2-135m", "SmolLM2-135M-Instruct.Q4_1.gguf"),
        ("smollm2-135m:creative", "smollm2-135m:creative", "SmolLM2-135M-Instruct.Q4_1.gguf"),
        ("mine", "mine", "My-Model.Q8_0.gguf"),
        ("My-Model.Q8_0.gguf", "{folder}/My-Model.Q8_0.gguf", "My-Model.Q8_0.gguf"),
        ("{folder}/My-Model.Q8_0.gguf", "{folder}/My-Model.Q8_0.gguf", "My-Model.Q8_0.gguf"),
        ("~/My-Model.Q8_0.gguf:creative", "{folder}/My-Model.Q8_0.gguf:creative", "My-Model.Q8_0.gguf"),
    ],
)
def test_a_file_is_named_by_its_listed_name_or_its_path(
    typed: str, full: str, file: str, names: LocalNames, folder: Path
) -> None:
    found = names.find(typed.format(folder=folder))
    assert (found.model_id, found.source) == (full.format(folder=folder), folder / file)


@pytest.mark.parametrize(
    ("typed", "repository", "part"),
    [
        ("far:creative", "owner/repo", "Q8_0"),
        ("owner/repo", "owner/repo", ""),
        ("owner/repo:Q4_K_M", "owner/repo", "Q4_K_M"),
        ("owner/repo:file.gguf", "owner/repo", "file.gguf"),
        ("hf:owner/repo/deep/file.gguf", "owner/repo", "deep/file.gguf"),
        ("hf:owner/re.po-1:creative", "owner/re.po-1", ""),
    ],
)
def test_a_repository_is_named(typed: str, repository: str, part: str, names: LocalNames) -> None:
    found = names.find(typed)
    assert (found.model_id, found.source) == (typed, HubFile(repository, part))


@pytest.mark.parametrize(
    ("typed", "complaint"),
    [
        (
            "gpt-5",
            "provider 'local' has no model 'gpt-5' → it has: smollm2-135m, .*any GGUF file by its path; "
            r"others need a login \(%copilot login, then -p github\) or a key \(%copilot provider add openai",
        ),
        ("smollm2-135m:hot", "no model 'smollm2-135m:hot'"),
        ("/nowhere/x.gguf", "cannot read the model file /nowhere/x.gguf: .* → correct --model"),
    ],
)
def test_what_names_nothing_is_refused(typed: str, complaint: str, names: LocalNames) -> None:
    with pytest.raises(ProviderError) as caught:
        names.find(typed)
    assert re.search(complaint, str(caught.value))


def test_the_error_of_a_missing_listed_file_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(ProviderError) as caught:
        LocalNames(CopilotNB(local_models={"gone": str(tmp_path / "gone.gguf")})).find("gone")
    assert "correct local_models" in str(caught.value)


def test_without_an_installed_model_the_first_listed_is_the_default(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    only = LocalNames(CopilotNB(local_model_path="", local_models={"mine": str(folder / "My-Model.Q8_0.gguf")}))
    assert only.model_ids == ("mine", "mine:creative")
    assert only.find("").source == folder / "My-Model.Q8_0.gguf"
    with pytest.raises(ProviderError, match="not installed"):
        LocalNames(CopilotNB(local_model_path="")).find("")


FILES = ("README.md", "m-Q4_K_M.gguf", "m-Q8_0.gguf", "mmproj-m.gguf")


@pytest.mark.parametrize(
    ("part", "chosen"), [("", "m-Q4_K_M.gguf"), ("q8_0", "m-Q8_0.gguf"), ("m-Q8_0.gguf", "m-Q8_0.gguf")]
)
def test_one_file_of_a_repository_is_chosen(part: str, chosen: str) -> None:
    assert hugging_face.choose(FILES, HubFile("o/r", part)) == chosen


def test_a_repository_with_unusual_files_gives_its_first() -> None:
    assert hugging_face.choose(["b-F16.gguf", "a-IQ2.gguf"], HubFile("o/r")) == "a-IQ2.gguf"


@pytest.mark.parametrize(
    ("names", "part", "complaint"),
    [
        (FILES, "Q2", "o/r:Q2 names no file on Hugging Face → name one: o/r:FILE, of m-Q4_K_M.gguf, m-Q8_0.gguf"),
        (FILES, "Q", "o/r:Q names 2 files"),
        (["README.md"], "", "o/r on Hugging Face has no GGUF file"),
    ],
)
def test_a_choice_that_is_not_one_is_refused(names: list[str], part: str, complaint: str) -> None:
    with pytest.raises(ProviderError) as caught:
        hugging_face.choose(names, HubFile("o/r", part))
    assert complaint in str(caught.value)


def test_without_huggingface_hub_the_error_says_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ProviderError, match=r"pip install huggingface_hub"):
        LocalNames(CopilotNB()).find("owner/repo")
