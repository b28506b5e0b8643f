"""The real thing: GitHub's package, by this machine's npm, into a cache of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from copilot_nb.errors import RuntimeUnavailable
from copilot_nb.providers.local.model_file import find_local_model
from copilot_nb.runtime.install.find_runtime import WRAPPER_NAME, RuntimeLocation, check_runtime, find_runtime
from copilot_nb.runtime.install.install_runtime import install_runtime
from copilot_nb.runtime.install.integrity import check_model
from copilot_nb.runtime.install.sdk_pin import pinned_version, runtime_platform


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_npm_installs_the_real_runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COPILOT_CLI_PATH", "COPILOT_CLI_EXTRACT_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COPILOT_NB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))  # whatever the SDK may have downloaded is not looked at
    said: list[str] = []
    location = install_runtime(progress=said.append, method="npm")
    assert location == find_runtime() == check_runtime(location)
    assert location.version == pinned_version()
    assert location.path.name == WRAPPER_NAME
    assert location.cli is not None
    assert (
        check_runtime(RuntimeLocation(location.cli, "test"), unpack_to=location.cli.parent).version == location.version
    )
    env = os.environ | {"COPILOT_OFFLINE": "true", "COPILOT_PKG_CACHE_HOME": str(location.cli.parent)}
    done = subprocess.run([location.cli, "--version"], capture_output=True, text=True, check=True, env=env)
    assert f"GitHub Copilot CLI {location.version}" in done.stdout
    assert "GitHub Copilot CLI License" in location.cli.with_name("LICENSE.md").read_text(encoding="utf-8")
    shutil.rmtree(tmp_path / "cache")  # 420 MB


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_npm_asks_the_registry_of_the_machines_npmrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    class Registry(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Registry) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        (tmp_path / "etc").mkdir()
        (tmp_path / "etc" / "npmrc").write_text(f"registry=http://127.0.0.1:{server.server_port}/\n")
        monkeypatch.setenv(
            "PREFIX", str(tmp_path)
        )  # where npm looks for etc/npmrc, unless an option names another place
        monkeypatch.setenv("COPILOT_NB_CACHE", str(tmp_path / "cache"))
        with pytest.raises(RuntimeUnavailable, match="npm failed: 404 Not Found"):
            install_runtime(progress=lambda _: None, method="npm")
        server.shutdown()
    assert [path.lower() for path in asked] == [f"/@github%2fcopilot-{runtime_platform()}"]


def test_the_embedded_model_is_the_one_whose_checksum_is_known() -> None:
    check_model(find_local_model())
