"""What `test_inspect.py` runs beside Inspect: a comparison becomes logs, and Inspect asks a model of ours."""

from __future__ import annotations

import asyncio
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from inspect_ai.log import read_eval_log
from inspect_ai.model import ChatMessageAssistant, ChatMessageSystem, ChatMessageUser, GenerateConfig, get_model
from inspect_ai.tool import ToolInfo

import copilot_nb
from copilot_nb.named_sessions.api import shared_manager
from copilot_nb.testing import ChatError, ChatRequest, Reply, ScriptedModel, install


def reply(request: ChatRequest) -> Reply:
    return Reply(error=ChatError(400, "no")) if "bad" in request.prompt else Reply(f"{request.model}: {request.prompt}")


def logs(folder: Path) -> None:
    prompts = [{"prompt": "good", "target": "good"}, {"prompt": ["one", "two"], "target": "x"}, {"prompt": "bad"}]
    result = copilot_nb.compare(
        prompts,
        models=["scripted", "scripted-b"],
        systems="Be brief.",
        repeats=2,
        scorers=lambda answer, target: target in answer,
    )
    first, second = map(read_eval_log, map(str, result.to_inspect(folder / "logs")))
    assert (first.eval.model, second.eval.model) == ("scripted/scripted", "scripted/scripted-b")
    assert (first.status, first.results.total_samples, first.results.completed_samples) == ("success", 6, 4)
    samples = {(sample.id, sample.epoch): sample for sample in first.samples}
    assert sorted(samples) == [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (3, 2)]
    assert first.results.scores[0].metrics["mean"].value == 0.5
    good, talk, bad = (samples[number, 1] for number in (1, 2, 3))
    assert [message.text for message in good.messages] == ["Be brief.", "good", "scripted: good"]
    assert (good.scores["<lambda>"].value, good.target, good.output.completion) == (1, "good", "scripted: good")
    assert [message.role for message in talk.messages] == ["system", "user", "assistant", "user", "assistant"]
    assert talk.model_usage["scripted/scripted"].total_tokens > 0
    assert "no" in bad.error.message
    assert first.stats.model_usage["scripted/scripted"].input_tokens > 0


async def models(model: ScriptedModel) -> None:
    (entry,) = entry_points(group="inspect_ai", name="copilot_nb")
    entry.load()
    asked, config = len(model.requests), GenerateConfig(max_connections=4)
    async with get_model("copilot/scripted/scripted-b", config=config) as ours:
        talk = [ChatMessageSystem(content="Be kind."), ChatMessageUser(content="one")]
        first, same = await asyncio.gather(ours.generate(talk), ours.generate(talk))
        assert first.completion == same.completion == "scripted-b: one"
        assert first.usage.total_tokens > 0
        for _ in range(2):  # each goes on in a session that said the same
            longer = [*talk, ChatMessageAssistant(content=first.completion), ChatMessageUser(content="two")]
            assert (await ours.generate(longer)).completion == "scripted-b: two"
        assert [request.user_texts for request in model.requests[asked:]] == [("one",)] * 2 + [("one", "two")] * 2
        for told, given in (
            ("temperature", {"config": GenerateConfig(temperature=0.5)}),
            ("tools", {"tools": [ToolInfo(name="t", description="a tool")]}),
        ):
            with pytest.raises(NotImplementedError, match=told):
                await ours.generate(talk, **given)
        with pytest.raises(NotImplementedError, match="has not had"):
            await ours.generate(longer)
        assert len(model.requests) == asked + 4
    assert not [session for session in shared_manager() if session.name.startswith("inspect-")]


model = ScriptedModel(reply, models=("scripted", "scripted-b"))
install(model)
logs(Path(sys.argv[1]))
asyncio.run(models(model))
left_open = get_model("copilot/scripted/scripted", memoize=False)  # as `inspect eval` leaves its models
asyncio.run(left_open.generate("Hello"))
