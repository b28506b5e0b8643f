"""What repo2docker makes of binder/: the build plan and the Dockerfile, without Docker.

That `binder/postBuild` works is tested by running it, in `tests/kernel/test_binder_postbuild.py`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import warnings
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from copilot_nb.demo import _settings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # repo2docker's and its Docker client's own
    from repo2docker.app import Repo2Docker
    from repo2docker.buildpacks import BuildPack, PythonBuildPack

ROOT = Path(__file__).parents[2]
LAB_NEWS = "@jupyterlab/apputils-extension:notification"
NOTEBOOK = "notebooks/01_multiple_sessions.ipynb"


@pytest.fixture(name="pack")
def picked_pack(monkeypatch: pytest.MonkeyPatch) -> Iterator[BuildPack]:
    """Pick the build pack as `jupyter-repo2docker .` does: the first that detects itself."""
    monkeypatch.chdir(ROOT)
    app = Repo2Docker()
    for kind in app.buildpacks:
        pack = kind(base_image=app.base_image)
        pack.platform = "linux/amd64"
        if pack.detect():
            yield pack
            return
    pytest.fail("no build pack detects this repository")


def test_the_python_build_pack_is_picked(pack: BuildPack) -> None:
    assert type(pack) is PythonBuildPack


def test_binder_has_the_python_that_the_constraints_were_made_with(pack: BuildPack) -> None:
    made_with = re.search(r"Python (\d+\.\d+)", (ROOT / "constraints.txt").read_text("utf-8"))
    assert made_with
    assert pack.python_version == made_with[1]


def test_the_image_is_built_by_post_build_alone(pack: BuildPack) -> None:
    commands = " ".join(command for _, command in [*pack.get_preassemble_scripts(), *pack.get_assemble_scripts()])
    assert "pip install" not in commands
    assert pack.get_post_build_scripts() == ["binder/postBuild"]


def test_the_dockerfile_runs_post_build_and_start(pack: BuildPack) -> None:
    dockerfile = pack.render({})
    assert re.search(r"^RUN \./binder/postBuild$", dockerfile, re.MULTILINE)
    assert 'ENV R2D_ENTRYPOINT="${REPO_DIR}/binder/start"' in dockerfile


@pytest.mark.parametrize("name", ["postBuild", "start"])
def test_scripts_are_executable_and_legal_bash(name: str) -> None:
    script = ROOT / "binder" / name
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", str(script)], check=True)


def test_start_runs_what_it_is_given() -> None:
    start = [str(ROOT / "binder" / "start"), "sh", "-c", 'echo "$COPILOT_AUTO_UPDATE $1"', "sh", "a b"]
    assert subprocess.run(start, capture_output=True, text=True, check=True).stdout == "false a b\n"


def test_the_settings_open_a_notebook_that_exists_without_a_question(tmp_path: Path) -> None:
    script = (ROOT / "binder" / "postBuild").read_text("utf-8")
    lab, server, settings = map(json.loads, re.findall(r"<<'JSON'\n(.*?)\nJSON$", script, re.MULTILINE | re.DOTALL))
    assert lab["LabApp"] == server["ServerApp"] == {"default_url": f"/lab/tree/{NOTEBOOK}"}
    assert (ROOT / NOTEBOOK).is_file()
    assert settings == {LAB_NEWS: json.loads(next(_settings(tmp_path).rglob("notification.*")).read_text("utf-8"))}


def test_the_links_of_the_documentation_lead_to_notebooks() -> None:
    page = (ROOT / "docs" / "install.md").read_text("utf-8")
    links = [unquote(link) for link in re.findall(r"https://mybinder\.org/v2/gh/OWNER/REPOSITORY/HEAD\?(\S+?)`", page)]
    assert [link.partition("notebooks/")[0] for link in links] == ["labpath=", "urlpath=voila/render/"]
    assert all((ROOT / link[link.index("notebooks/") :]).is_file() for link in links)


def test_the_image_has_what_the_notebooks_import() -> None:
    script = (ROOT / "binder" / "postBuild").read_text("utf-8")
    (extras,) = re.findall(r'pip install --quiet "\.\[([\w,]+)\]" voila', script)
    assert {"demo", "experiments", "plots"} == set(extras.split(","))
