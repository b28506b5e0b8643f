"""Model files from a Hugging Face of our own, on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

FILES = ("README.md", "m-Q4_K_M.gguf", "m-Q8_0.gguf")
CONTENT = b"GGUF" + bytes(2_000_000)
COMMIT = "a" * 40
FETCH = """
import json, sys
from copilot_nb.errors import ProviderError
from copilot_nb.providers.local import hugging_face

told = []
for reference, offline in json.loads(sys.argv[1]):
    try:
        path = hugging_face.fetch(hugging_face.parse(reference), offline=offline, progress=told.append)
        print(json.dumps([path.name, path.stat().st_size, told]))
    except ProviderError as error:
        print(json.dumps(str(error)))
    told.clear()
"""


class _Hub(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        content = b""
        if self.path.startswith("/api/models/me/small/tree/"):
            files = [{"type": "file", "path": name, "oid": "b" * 40, "size": len(CONTENT)} for name in FILES]
            content = json.dumps(files).encode()
        elif self.path.startswith("/me/small/resolve/"):
            content = CONTENT
        self.send_response(200 if content else 404)
        for name, value in {"Content-Length": len(content), "ETag": '"x"', "X-Repo-Commit": COMMIT}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def endpoint() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_file_is_downloaded_once_and_found_offline(endpoint: str, tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed")
    wanted = [("me/small", True), ("me/small", False), ("me/small:Q8", False), ("me/small", True), ("me/none", False)]
    own = {"HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path), "HF_HUB_DISABLE_XET": "1", "NO_PROXY": "127.0.0.1"}
    script = [sys.executable, "-c", FETCH, json.dumps(wanted)]
    done = subprocess.run(script, env=os.environ | own, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    early, usual, other, offline, missing = map(json.loads, done.stdout.splitlines())
    assert early.startswith("me/small has not been downloaded, and this is the offline mode → ")
    assert usual[:2] == ["m-Q4_K_M.gguf", len(CONTENT)]
    assert (usual[2][0], usual[2][-1]) == (
        "downloading me/small/m-Q4_K_M.gguf …",
        "downloading me/small/m-Q4_K_M.gguf: 2 of 2 MB …",
    )
    assert other[0] == "m-Q8_0.gguf"
    assert offline == ["m-Q4_K_M.gguf", len(CONTENT), []]
    assert missing.startswith("me/none cannot be downloaded from Hugging Face: ")
    assert "404" in missing
