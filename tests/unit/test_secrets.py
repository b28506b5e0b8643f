"""Which secrets the kernel knows by their values."""

from __future__ import annotations

from pathlib import Path

import pytest

from copilot_nb.providers.keys import Secret
from copilot_nb.providers.registry import Providers
from copilot_nb.providers.secrets import dotenv, redactor
from copilot_nb.providers.spec import spec_of
from copilot_nb.settings import CopilotNB

LINES = """
# the keys of this project
export API_TOKEN="tok-of-env-1"   # quoted
DB_PASSWORD = hunter22-of-env # of the test
DATABASE_URL=postgres://me:pass-of-url@host/db
DEBUG=true
SECRET_KEY=development
no line
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a `.env`, whose folder of notebooks is the working folder."""
    (tmp_path / ".env").write_text(LINES, "utf-8")
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    return tmp_path


def test_a_dotenv_file_is_read() -> None:
    assert dotenv(LINES)["API_TOKEN"] == "tok-of-env-1"
    assert dotenv(LINES)["DB_PASSWORD"] == "hunter22-of-env"


def test_a_secret_may_look_like_the_home_of_a_user(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER_KEY", "~nobody-at-all-1")
    assert redactor(Providers(CopilotNB())).hide("x ~nobody-at-all-1") == "x ‹secret: OTHER_KEY›"


def test_what_mcp_servers_are_given_is_known(project: Path) -> None:
    files = {"command": "x", "args": ["--api-key", "by-option-1", "--token=by-option-2", "--depth", "harmless1"]}
    docs = {
        "url": "https://me:by-address-1@host/x",
        "headers": {"Authorization": "Bearer by-header-1", "X-API-Key": "by-header-2", "Accept": "harmless2"},
        "env": {"DOCS_TOKEN": "by-variable-1", "LEVEL": "harmless3"},
    }
    known = set(redactor(Providers(CopilotNB()), {"files": files, "docs": docs, "odd": {"args": None}}).known)
    given = {f"by-{way}-1" for way in ("option", "address", "header", "variable")} | {"by-option-2", "by-header-2"}
    assert given <= known
    assert not known & {"harmless1", "harmless2", "harmless3"}


def test_variables_dotenv_files_and_keys_of_providers_are_known(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER_KEY", "key-of-environ")
    monkeypatch.setenv("KEY_FILE_TOKEN", str(project / ".env"))  # says only where it is
    providers = Providers(CopilotNB())
    providers.add_own(
        spec_of("mine", {"type": "openai", "base_url": "http://127.0.0.1:9/v1"}, typed=Secret("key-typed-in"))
    )
    known = redactor(providers).known
    expected = {
        "key-typed-in": "mine",
        "key-of-environ": "OTHER_KEY",
        "tok-of-env-1": "API_TOKEN",
        "hunter22-of-env": "DB_PASSWORD",
        "pass-of-url": "DATABASE_URL",
    }
    assert expected.items() <= known.items()
    assert not {"true", "development", str(project / ".env")} & known.keys()
