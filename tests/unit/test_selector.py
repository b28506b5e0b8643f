"""Which provider answers when none is named, and what is said where none can."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from copilot_nb.errors import ProviderError
from copilot_nb.named_sessions.options import SessionOptions
from copilot_nb.named_sessions.selector import ModelSelector
from copilot_nb.providers.registry import Providers
from copilot_nb.runtime.loop import LoopThread
from copilot_nb.runtime.sdk_errors import unusable_login
from copilot_nb.settings import CopilotNB


@dataclass
class FakeClient:
    """A runtime that is asked for a login only."""

    logged_in: bool
    problem: ProviderError | None = None
    asked: int = 0

    async def is_logged_in(self) -> bool:
        self.asked += 1
        return self.logged_in

    @property
    def account(self) -> FakeClient:
        return self

    async def login_problem(self) -> ProviderError | None:
        return self.problem


@pytest.fixture
def loop() -> Iterator[LoopThread]:
    loop = LoopThread()
    yield loop
    loop.stop()


@pytest.fixture
def settings(tmp_path: Path) -> CopilotNB:
    return CopilotNB(offline=False, local_model_path=str(tmp_path / "none.gguf"))


def choice(settings: CopilotNB, client: FakeClient) -> ModelSelector:
    async def ready() -> Any:
        return client

    return ModelSelector(settings, Providers(settings), ready)


def answers(loop: LoopThread, chosen: ModelSelector, options: SessionOptions) -> tuple[str, str]:
    new = loop.blocking(chosen.for_new(options))
    return new.provider, new.model


def test_a_setting_comes_before_a_login_which_comes_before_the_runtimes_own_variable(
    loop: LoopThread, settings: CopilotNB, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COPILOT_PROVIDER_BASE_URL", "http://127.0.0.1:1/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-lies-about")
    client = FakeClient(logged_in=True)
    chosen = choice(settings, client)
    settings.provider = "ollama"
    assert loop.blocking(chosen.default_provider()) == "ollama"
    settings.provider = ""
    assert loop.blocking(chosen.default_provider()) == "github"
    client.logged_in = False
    chosen.forget_login()
    assert loop.blocking(chosen.default_provider()) == "custom"
    monkeypatch.delenv("COPILOT_PROVIDER_BASE_URL")
    with pytest.raises(ProviderError, match=r"no model can answer → log in .*, or bring a key .*, or install the"):
        loop.blocking(chosen.default_provider())


def test_copilot_without_a_login_is_refused_until_there_is_one(loop: LoopThread, settings: CopilotNB) -> None:
    client = FakeClient(logged_in=False)
    chosen = choice(settings, client)
    with pytest.raises(ProviderError, match="nobody is logged in to Copilot → log in with %copilot login"):
        loop.blocking(chosen.for_new(SessionOptions(provider="github")))
    client.logged_in = True
    assert answers(loop, chosen, SessionOptions(provider="github", model="gpt-5")) == ("github", "gpt-5")
    loop.blocking(chosen.for_new(SessionOptions(provider="github")))
    assert client.asked == 2, "a login is believed"


def test_a_login_that_cannot_be_used_is_not_called_none(loop: LoopThread, settings: CopilotNB) -> None:
    problem = unusable_login("Failed to fetch PAT user login: 401")
    chosen = choice(settings, FakeClient(logged_in=False, problem=problem))
    for asked in (SessionOptions(), SessionOptions(provider="github")):
        with pytest.raises(ProviderError, match="Copilot cannot use its login: Failed to fetch PAT user login: 401"):
            loop.blocking(chosen.for_new(asked))


def test_the_settings_model_is_the_settings_providers(loop: LoopThread, settings: CopilotNB) -> None:
    settings.provider, settings.model = "ollama", "llama3.2"
    chosen = choice(settings, cast("FakeClient", None))
    assert answers(loop, chosen, SessionOptions()) == ("ollama", "llama3.2")
    settings.providers = {"mine": {"type": "ollama", "model": "its-own"}}
    assert answers(loop, chosen, SessionOptions(provider="mine")) == ("mine", "its-own")
