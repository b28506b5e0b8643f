"""The magics in a real IPython shell, on the real runtime, answered by a `ScriptedModel`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

import copilot_nb
from copilot_nb.named_sessions.api import drop_manager, shared_manager
from copilot_nb.settings import CopilotNB
from copilot_nb.testing import ScriptedModel, install


@dataclass(frozen=True)
class Ran:
    """The result of a cell."""

    ok: bool
    out: str
    err: str
    result: object

    @property
    def complaint(self) -> str:
        """The one line a failed cell shows, checked to be all it shows."""
        assert not self.ok, f"the cell did not fail: {self.out}"
        lines = [line for line in self.out.splitlines() if line.strip()]
        assert len(lines) == 1, f"not one line: {self.out}"
        assert not self.err
        return lines[0]


class Notebook:
    """A shell to run cells in."""

    def __init__(self, shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
        self.shell = shell
        self._capsys = capsys

    @property
    def settings(self) -> CopilotNB:
        (settings,) = (known for known in self.shell.configurables if isinstance(known, CopilotNB))
        return settings

    def run(self, cell: str) -> Ran:
        self._capsys.readouterr()
        ran = self.shell.run_cell(cell)
        said = self._capsys.readouterr()
        return Ran(bool(ran.success), said.out, said.err, ran.result)

    def answer(self, model: ScriptedModel) -> ScriptedModel:
        """Let `model` answer from now on."""
        shared_manager(self.settings)
        install(model)
        return model

    def complete(self, text: str) -> list[str]:
        """Return the completions at the end of `text`, each as the whole text."""
        found = self.shell.Completer.completions(text, len(text))
        return [text[: match.start] + match.text + text[match.end :] for match in found]

    def names(self) -> list[str]:
        return [stored.name for stored in copilot_nb.sessions()]

    def on_disk(self) -> list[str]:
        """The ids of all sessions that the runtime stores."""
        folder = Path(self.settings.home) / "session-state"
        return sorted(f.name for f in folder.iterdir() if not f.name.startswith(".")) if folder.exists() else []


@pytest.fixture(scope="session")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InteractiveShell]:
    """One shell and one runtime for all tests of this folder; it loads the extension as a user does."""
    home = str(tmp_path_factory.mktemp("shell-home"))
    config = Config(
        {
            "CopilotNB": {"warm_start": False, "home": home, "offline": True},
            "HistoryManager": {"enabled": False},
            "InteractiveShell": {"colors": "nocolor"},
        }
    )
    shell = InteractiveShell.instance(config=config)
    shell.run_cell("%load_ext copilot_nb").raise_error()
    yield shell
    drop_manager()
    InteractiveShell.clear_instance()


@pytest.fixture
def nb(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> Iterator[Notebook]:
    """The shell without any session; its model echoes unless scripted otherwise."""
    notebook = Notebook(shell, capsys)
    before = notebook.settings.trait_values(config=True)
    notebook.answer(ScriptedModel())
    yield notebook
    shell.run_cell("%copilot stop --all")
    for name in {*notebook.names(), *(session.name for session in shared_manager())}:
        copilot_nb.delete(name)
    for name, value in before.items():
        setattr(notebook.settings, name, value)
    assert notebook.on_disk() == []


@pytest.fixture
def broken(shell: InteractiveShell, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Iterator[Notebook]:
    """The shell with no runtime running, to be started in a way that fails; settings are put back afterwards."""
    notebook = Notebook(shell, capsys)
    before = notebook.settings.trait_values(config=True)
    drop_manager()
    notebook.settings.home = str(tmp_path / "home")
    yield notebook
    drop_manager()
    for name, value in before.items():
        setattr(notebook.settings, name, value)
