"""The extension of JupyterLab: what a wheel brings, and that it says the same as the Python beside it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

from copilot_nb import errors
from copilot_nb.conversation.prompt import interpolate
from copilot_nb.notebook.arguments import ASK_OPTIONS
from copilot_nb.notebook.code import HELD
from copilot_nb.runtime import doctor
from copilot_nb.runtime.lab_extension import ServerEnvironment, environment_of, install_command

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "labextension"
SCRIPTS = FOLDER / "scripts"
PACKAGE = json.loads((FOLDER / "package.json").read_text("utf-8"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
INSTALLED = "share/jupyter/labextensions/copilot-nb"
EXPRESSIONS = json.loads((ROOT / "tests" / "js" / "expressions.json").read_text("utf-8"))


def test_its_version_is_the_packages() -> None:
    assert PACKAGE["name"] == PROJECT["name"]
    assert PACKAGE["version"] == PROJECT["version"]


def test_a_browser_does_not_keep_its_files_over_an_upgrade() -> None:
    """JupyterLab lets browsers keep for a year, unasked, what is in a folder called static; our files have no hash."""
    assert PACKAGE["jupyterlab"]["_build"]["load"] == "scripts/remoteEntry.js"
    assert [path for path in FOLDER.rglob("*") if "static" in path.relative_to(FOLDER).parts] == []


def test_a_wheel_brings_each_of_its_files_and_no_other(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.iterdir()
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    data = f"copilot_nb-{PROJECT['version']}.data/data/"
    found = {name.removeprefix(data) for name in names if name.startswith(data)}
    assert found == {
        f"{INSTALLED}/{path.relative_to(FOLDER).as_posix()}" for path in FOLDER.rglob("*") if path.is_file()
    }
    assert f"{INSTALLED}/{PACKAGE['jupyterlab']['_build']['load']}" in found
    assert not [name for name in names if "labextension" in name and not name.startswith(data)]
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) < 60_000  # bytes


def test_its_settings_are_those_of_a_plugin() -> None:
    """JupyterLab finds them by that name, and leaves them out with the plugin."""
    for schema in (FOLDER / "schemas").rglob("*.json"):
        assert f'id: "{PACKAGE["name"]}:{schema.stem}"' in (SCRIPTS / f"{schema.stem}.js").read_text("utf-8")
        (buttons,) = json.loads(schema.read_text("utf-8"))["jupyter.lab.toolbars"].values()
        assert [each["command"] for each in buttons] == [f"{PACKAGE['name']}:{schema.stem}"]


def test_it_knows_the_options_without_a_value_and_the_line_that_holds_code_back() -> None:
    source = (SCRIPTS / "text.js").read_text("utf-8")
    (listed,) = re.findall(r"SWITCHES = \[(.*?)\]", source, re.DOTALL)
    assert sorted(re.findall(r'"(.*?)"', listed)) == sorted(
        flag for option in ASK_OPTIONS if not option.value for flag in option.flags
    )
    assert f'HELD = "{HELD}"' in source


def test_it_knows_the_errors_of_turns() -> None:
    source = (SCRIPTS / "text.js").read_text("utf-8")
    (listed,) = re.findall(r"OF_ERRORS = new Map\(\[(.*?)\]\);", source, re.DOTALL)
    turn_errors = {error.__name__ for error in errors.TurnError.__subclasses__()}
    named = set(re.findall(r'\["(\w+)"', listed))
    assert named == {"KeyboardInterrupt", "ProviderError", "RuntimeUnavailable"} | turn_errors
    assert named - {"KeyboardInterrupt"} <= set(vars(errors))


@pytest.mark.parametrize("case", EXPRESSIONS, ids=lambda case: case["body"][:20])
def test_it_marks_the_expressions_that_are_replaced(case: dict[str, object]) -> None:
    """The same table is read by tests/js/text.test.js."""
    replaced: list[str] = []
    interpolate(str(case["body"]), replaced.append)
    assert [str(each)[2:-2].strip() for each in list(case["expressions"])] == replaced  # type: ignore[call-overload]


@pytest.fixture
def server(tmp_path: Path) -> Path:
    """The Python of an environment in which JupyterLab is."""
    python = tmp_path / "bin" / "python"
    for folder in (python.parent, tmp_path / "share" / "jupyter"):
        folder.mkdir(parents=True)
    python.touch(0o755)
    return python


def put_extension(folder: Path) -> None:
    place = folder / "labextensions" / "copilot-nb" / "package.json"
    place.parent.mkdir(parents=True)
    place.write_text('{"version": "1.2"}')


def test_the_servers_environment_is_searched_as_the_server_does(server: Path, tmp_path: Path) -> None:
    lab = [str(server), str(server.with_name("jupyter-lab")), "--no-browser"]
    user = {"JUPYTER_DATA_DIR": str(tmp_path / "user"), "PATH": str(server.parent)}
    assert environment_of(lab, user) == ServerEnvironment(server, "")
    put_extension(tmp_path / "user")
    assert environment_of(["python", "-m", "jupyterlab"], user) == ServerEnvironment(server, "1.2")
    put_extension(tmp_path / "share" / "jupyter")
    assert environment_of(lab, {"JUPYTER_DATA_DIR": "/none"}) == ServerEnvironment(server, "1.2")
    assert environment_of([str(server), "-m", "papermill"], user) is None
    assert environment_of(["/no/python", "-m", "jupyterlab"], user) is None


@pytest.mark.parametrize(("version", "has_fix"), [(PROJECT["version"], False), ("0.0.1", True), ("", True)])
def test_the_doctor_says_what_the_server_lacks(monkeypatch: pytest.MonkeyPatch, version: str, has_fix: bool) -> None:
    found = ServerEnvironment(Path("/env/bin/python"), version)
    monkeypatch.setattr(doctor, "server_environment", lambda: found)
    (finding,) = doctor._lab_extension()
    assert finding.ok
    assert finding.fix == (install_command(found.python) if has_fix else "")


@pytest.mark.parametrize(
    ("origin", "source"),
    [
        (None, "copilot-nb==9.8"),
        ({"url": "file://HERE/my%20checkout", "dir_info": {"editable": True}}, "'HERE/my checkout'"),
        ({"url": "file://HERE/gone", "dir_info": {}}, ". (in a checkout)"),
        ({"url": "https://a.example/own.whl", "archive_info": {}}, "https://a.example/own.whl"),
        ({"url": "https://a.example/b", "vcs_info": {"vcs": "git", "commit_id": "0a"}}, "git+https://a.example/b@0a"),
        ({"dir_info": {}}, ". (in a checkout)"),
    ],
)
def test_the_extension_is_installed_from_where_the_kernel_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, origin: dict[str, Any] | None, source: str
) -> None:
    facts = tmp_path / "copilot_nb-9.8.dist-info"
    facts.mkdir()
    (tmp_path / "my checkout").mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: copilot-nb\nVersion: 9.8\n")
    if origin:
        (facts / "direct_url.json").write_text(json.dumps(origin).replace("HERE", str(tmp_path)))
    monkeypatch.syspath_prepend(tmp_path)
    command = install_command(Path("/env/bin/python"))
    assert command == f"/env/bin/python -m pip install --no-deps {source.replace('HERE', str(tmp_path))}"


def test_the_doctor_says_nothing_of_a_server_that_it_cannot_see(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    assert list(doctor._lab_extension()) == []
