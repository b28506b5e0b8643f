"""Sessions on the real runtime, answered by a `ScriptedModel`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from copilot_nb.named_sessions.manager import Manager
from copilot_nb.providers.in_kernel import InKernel
from copilot_nb.settings import CopilotNB
from copilot_nb.testing import ScriptedModel


def script(manager: Manager, model: ScriptedModel, name: str = "scripted") -> ScriptedModel:
    """Let `model` be the provider `name` of `manager`."""
    manager.providers.add(InKernel(name, lambda: model))
    return model


@pytest.fixture(scope="session")
def shared_home_manager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Manager]:
    manager = Manager(CopilotNB(home=str(tmp_path_factory.mktemp("shared-home")), offline=True, provider="scripted"))
    yield manager
    manager.close()


@pytest.fixture
def manager(shared_home_manager: Manager) -> Manager:
    """One running runtime for many tests: each uses names of its own; its model echoes unless scripted otherwise."""
    script(shared_home_manager, ScriptedModel())
    return shared_home_manager


@pytest.fixture
def own_manager(tmp_path: Path) -> Iterator[Callable[[], Manager]]:
    """Make managers, each with a runtime of its own, on one home: what a kernel and the next one are."""
    made: list[Manager] = []

    def make(model: ScriptedModel | None = None) -> Manager:
        manager = Manager(CopilotNB(home=str(tmp_path / "home"), offline=True, provider="scripted"))
        script(manager, model or ScriptedModel())
        made.append(manager)
        return manager

    yield make
    for manager in made:
        manager.close()
