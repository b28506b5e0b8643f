"""Installing: what is said, what is left behind, and two installers at once.

`npm` is a stand-in on the PATH that writes a package of shell scripts; the SDK's download is the real one, from a
server in this process. tests/runtime/test_install_real.py has the real npm and the real runtime.
"""

from __future__ import annotations

import ast
import hashlib
import io
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest

from copilot_nb.errors import CopilotNBError, InputError, RuntimeUnavailable
from copilot_nb.runtime.install import install_runtime as installer
from copilot_nb.runtime.install import subprocesses
from copilot_nb.runtime.install.cache import INCOMING, locked
from copilot_nb.runtime.install.find_runtime import WRAPPER_NAME, find_runtime
from copilot_nb.runtime.install.install_runtime import install_runtime
from copilot_nb.runtime.install.integrity import NPM_SHA512
from copilot_nb.runtime.install.sdk_pin import pinned_version, runtime_platform, sdk_versions

PIN = pinned_version() or ""
PLATFORM = runtime_platform() or ""
DEADLINE_S = 30.0

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-ins for programs are shell scripts")

INTEGRITY = f"sha512-{NPM_SHA512[PIN][PLATFORM]}"
ANSWER = f'{{"jsonrpc":"2.0","id":1,"result":{{"version":"{PIN}","protocolVersion":3}}}}'
WRAPPER = f"#!/bin/sh\ngrep -q status.get && echo '{ANSWER}'\n"
CLI = f"""#!/bin/sh
if [ -n "$COPILOT_PKG_CACHE_HOME" ]; then
    folder="$COPILOT_PKG_CACHE_HOME/pkg/{PLATFORM}/{PIN}/prebuilds/{PLATFORM}"
    mkdir -p "$folder"
    cat > "$folder/{WRAPPER_NAME}" <<'END'
{WRAPPER}END
    chmod +x "$folder/{WRAPPER_NAME}"
    echo library > "$folder/runtime.node"
fi
echo "GitHub Copilot CLI {PIN}."
"""

# Writes half the package, waits for the file `go` beside itself, and writes the rest.
NPM = f"""#!{sys.executable}
import json, os, pathlib, sys, time
here = pathlib.Path(__file__).parent
project = pathlib.Path.cwd()
assert (project / "package.json").exists(), "npm would install into a folder above that has one"
package = project / "node_modules" / "@github" / "copilot-{PLATFORM}"
package.mkdir(parents=True)
(package / "copilot").write_text("half")
(package / "copilot").chmod(0o755)
with open(here / "runs", "a") as runs:
    runs.write(f"{{os.getpid()}}\\n")
end = time.monotonic() + {DEADLINE_S}
while not (here / "go").exists() and time.monotonic() < end:
    time.sleep(0.02)
(package / "copilot").write_text((here / "cli").read_text())
(package / "LICENSE.md").write_text("GitHub Copilot CLI License")
noted = {{"node_modules/@github/copilot-{PLATFORM}": {{"integrity": "{INTEGRITY}"}}}}
(project / "node_modules" / ".package-lock.json").write_text(json.dumps({{"packages": noted}}))
"""


class FakeNpm:
    """The stand-in, and what has become of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        (folder / "cli").write_text(CLI)
        self.script(NPM)
        self.go()

    def script(self, text: str) -> None:
        (self.folder / "npm").write_text(text)
        (self.folder / "npm").chmod(0o755)

    def says(self, stderr: str) -> None:
        self.script(f"#!/bin/sh\ncat >&2 <<'END'\n{stderr}\nEND\nexit 1\n")

    def go(self) -> None:
        (self.folder / "go").touch()

    def wait(self) -> None:
        (self.folder / "go").unlink()

    @property
    def runs(self) -> list[int]:
        file = self.folder / "runs"
        return [int(line) for line in file.read_text().split()] if file.exists() else []


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("COPILOT_CLI_PATH", "COPILOT_CLI_EXTRACT_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COPILOT_NB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("COPILOT_CLI_DOWNLOAD_BASE_URL", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.chdir(tmp_path)
    return tmp_path / "cache"


@pytest.fixture
def npm(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeNpm:
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    return FakeNpm(tmp_path / "bin")


def alive(pid: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    return False


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def left_over(cache: Path) -> list[Path]:
    return list((cache / "runtime").glob(f"{INCOMING}*"))


def failure(method: str = "npm") -> CopilotNBError:
    with pytest.raises(RuntimeUnavailable) as caught:
        install_runtime(progress=lambda _: None, method=method)
    return caught.value


# npm


def test_npm_installs_and_says_whose_software_it_is(cache: Path, npm: FakeNpm) -> None:
    said: list[str] = []
    location = install_runtime(progress=said.append, method="npm")
    assert location == find_runtime()
    assert location.version == PIN
    assert location.path.name == WRAPPER_NAME
    assert "GitHub's software, not part of copilot-nb" in said[0]
    assert "GitHub Copilot CLI License" in said[0]
    licence = Path(next(line for line in said if "licence is in" in line).split(" is in ")[1])
    assert licence.read_text() == "GitHub Copilot CLI License"
    assert not left_over(cache)


def test_what_is_installed_is_not_installed_again(cache: Path, npm: FakeNpm) -> None:
    first = install_runtime(progress=lambda _: None, method="npm")
    said: list[str] = []
    assert install_runtime(progress=said.append) == first  # and GitHub is not asked either
    assert len(npm.runs) == len(said) == 1


def test_what_is_broken_is_replaced(cache: Path, npm: FakeNpm) -> None:
    path = install_runtime(progress=lambda _: None, method="npm").path
    path.write_text("#!/bin/sh\nexit 3\n")
    said: list[str] = []
    assert install_runtime(progress=said.append, method="npm").version == PIN
    assert said[0].startswith("Not usable, installing again: ")
    assert path.read_text() == WRAPPER
    assert not left_over(cache)


def older_runtime(cache: Path, version: str) -> Path:
    folder = cache / "runtime" / version / PLATFORM
    folder.mkdir(parents=True)
    (folder / "copilot").write_text("#!/bin/sh\nread line\n")
    (folder / "copilot").chmod(0o755)
    return folder


def test_an_older_runtime_is_removed_and_a_newer_one_stays(cache: Path, npm: FakeNpm) -> None:
    old, new, other = older_runtime(cache, "0.9.9"), older_runtime(cache, f"{PIN}0"), older_runtime(cache, "mine")
    shared = cache / "runtime" / "0.9.8" / "another-platform"
    shared.mkdir(parents=True)
    older_runtime(cache, "0.9.8")
    said: list[str] = []
    install_runtime(progress=said.append, method="npm")
    assert not old.parent.exists()
    assert new.exists()
    assert other.exists()
    assert list(shared.parent.iterdir()) == [shared]
    assert [line for line in said if "older Copilot" in line] == [
        "Removed the older Copilot runtime 0.9.8 (0 MB)",
        "Removed the older Copilot runtime 0.9.9 (0 MB)",
    ]
    assert not left_over(cache)


def test_an_older_runtime_that_is_running_stays(cache: Path, npm: FakeNpm) -> None:
    old = older_runtime(cache, "0.9.9")
    with subprocess.Popen([old / "copilot"], stdin=subprocess.PIPE) as process:
        said: list[str] = []
        install_runtime(progress=said.append, method="npm")
        assert f"Keeping the older Copilot runtime 0.9.9: process {process.pid} is using it" in said
        assert (old / "copilot").exists()
        process.communicate()


def test_auto_takes_npm_where_github_is_out_of_reach(cache: Path, npm: FakeNpm) -> None:
    said: list[str] = []
    assert install_runtime(progress=said.append).source == "copilot-nb install-runtime"
    assert any("cannot be reached" in line and "trying npm" in line for line in said)


def test_what_cannot_be_started_is_left_for_the_complete_program(cache: Path, npm: FakeNpm) -> None:
    (npm.folder / "cli").write_text(CLI.replace("grep -q status.get", "exit 127"))
    said: list[str] = []
    assert install_runtime(progress=said.append, method="npm").path.name == "copilot"
    assert any(line.startswith("Using the complete program instead") for line in said)


def test_a_heartbeat_tells_the_size(cache: Path, npm: FakeNpm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocesses, "HEARTBEAT_S", 0.05)
    npm.wait()
    said: list[str] = []

    def progress(line: str) -> None:
        said.append(line)
        if " of about 320 MB" in line:
            npm.go()

    install_runtime(progress=progress, method="npm")
    assert any(" of about 320 MB" in line for line in said)


NPM_FAILURES = [
    ("npm error code ENOTFOUND\nnpm error syscall getaddrinfo", "no network: npm cannot reach its registry"),
    ("npm ERR! code ECONNREFUSED\nnpm ERR! x", "no network: npm cannot reach its registry"),
    ("npm warn old\nnpm error code ENOSPC\nnpm error nospc y", "the disk is full"),
    ("npm error code EBADPLATFORM\nnpm error notsup z", "the package is not made for this platform"),
    (
        "npm error code ETARGET\nnpm error notarget No matching version.\nnpm error A complete log of",
        "No matching version.",
    ),
    ("something else\nsyntax error near x", "syntax error near x"),
    ("", "no message"),
]


@pytest.mark.parametrize(("stderr", "reason"), NPM_FAILURES)
def test_a_failing_npm_is_one_line(cache: Path, npm: FakeNpm, stderr: str, reason: str) -> None:
    npm.says(stderr)
    error = failure()
    assert error.message.startswith("npm failed: ")
    assert error.message.endswith(reason)
    assert not left_over(cache)


@pytest.mark.parametrize("code", ["SELF_SIGNED_CERT_IN_CHAIN", "UNABLE_TO_VERIFY_LEAF_SIGNATURE"])
def test_a_certificate_that_npm_does_not_trust_names_the_variable_to_set(cache: Path, npm: FakeNpm, code: str) -> None:
    npm.says(f"npm error code {code}\nnpm error errno {code}\nnpm error request to https://x/ failed")
    error = failure()
    assert error.message == f"npm does not trust the certificate of its registry ({code})"
    assert error.hint.startswith("set NODE_EXTRA_CA_CERTS to the file")


def test_npm_gets_no_key_and_leaves_no_cache(cache: Path, npm: FakeNpm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NPM_CONFIG_CACHE", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "planted")
    monkeypatch.setenv("NPM_TOKEN", "npm's own")
    seen = npm.folder / "environment"
    npm.script(NPM.replace("package.mkdir", f"open({str(seen)!r}, 'w').write(repr(dict(os.environ))); package.mkdir"))
    install_runtime(progress=lambda _: None, method="npm")
    environment = ast.literal_eval(seen.read_text())
    assert "planted" not in environment.values()
    assert environment["NPM_TOKEN"] == "npm's own"
    npms_cache = Path(environment["NPM_CONFIG_CACHE"])
    assert cache in npms_cache.parents
    assert not npms_cache.parent.exists()  # it went with the folder that was built in
    monkeypatch.setenv("NPM_CONFIG_CACHE", "/somewhere")
    shutil.rmtree(cache)
    install_runtime(progress=lambda _: None, method="npm")
    assert ast.literal_eval(seen.read_text())["NPM_CONFIG_CACHE"] == "/somewhere"


def test_npm_that_brings_nothing(cache: Path, npm: FakeNpm) -> None:
    npm.script(NPM.replace('(package / "copilot").write_text((', '(package / "copilot").unlink(); print(('))
    assert "npm finished, but there is no copilot" in failure().message


@pytest.mark.parametrize("noted", ['{"integrity": "sha512-another"}', "{}"])
def test_another_package_than_the_published_one_is_not_run(cache: Path, npm: FakeNpm, noted: str) -> None:
    (npm.folder / "cli").write_text(f"#!/bin/sh\ntouch {npm.folder}/was-run\n")
    npm.script(NPM.replace(f'{{"integrity": "{INTEGRITY}"}}', noted))
    assert re.match(r"npm brought another @github/copilot-\S+ than GitHub has published", failure().message)
    assert not (npm.folder / "was-run").exists()


def test_the_pinned_runtime_has_a_checksum_for_each_platform() -> None:
    module = sdk_versions()
    assert module is not None
    platforms = {*module.RUNTIME_PLATFORMS.values(), *module._MUSL_RUNTIME_PLATFORMS.values()}
    assert set(NPM_SHA512[PIN]) == platforms


def test_npm_that_brings_another_version(cache: Path, npm: FakeNpm) -> None:
    (npm.folder / "cli").write_text("#!/bin/sh\necho 0.0.1\n")
    assert failure().message == f"npm installed the Copilot CLI 0.0.1 instead of {PIN}"
    assert not (cache / "runtime" / PIN).exists()


def test_no_npm(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert failure().message == "npm is not installed"
    both = failure("auto")
    assert both.message.startswith("npm is not installed (before that: GitHub's download cannot be reached: ")
    assert "nodejs.org" in both.hint


def test_npm_that_hangs_is_stopped(cache: Path, npm: FakeNpm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocesses, "HEARTBEAT_S", 0.05)
    monkeypatch.setattr(installer, "DOWNLOAD_TIMEOUT_S", 0.5)
    npm.script(NPM.replace("package.mkdir", "open(here / 'runs', 'a').write(f'{os.getpid()}\\n'); package.mkdir"))
    npm.wait()
    assert failure().message == "npm had not finished after 0.5 s"
    assert not any(alive(pid) for pid in npm.runs)
    assert not left_over(cache)


def test_a_cache_that_cannot_be_written(cache: Path, npm: FakeNpm) -> None:
    cache.write_text("a file where the folder should be")
    error = failure()
    assert error.message.startswith("cannot write to the cache folder ")
    assert "COPILOT_NB_CACHE" in error.hint


def test_a_full_disk_while_moving_into_place(cache: Path, npm: FakeNpm, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    assert "No space left on device" in failure().message
    assert not left_over(cache)


def test_an_unknown_method() -> None:
    with pytest.raises(InputError, match="one of: auto, sdk, npm"):
        install_runtime(method="brew")


def test_a_platform_without_a_runtime(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installer, "runtime_platform", lambda: None)
    assert failure().message.startswith("GitHub offers no Copilot runtime for this platform")


def test_without_the_sdk(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installer, "pinned_version", lambda: None)
    error = failure()
    assert error.message.startswith("the Copilot SDK is not installed")
    command = rf"run: {re.escape(sys.executable)} -m pip install --force-reinstall github-copilot-sdk==\d+\.\d+\.\d+"
    assert re.fullmatch(command, error.hint)


# Several installers, and their death


@pytest.fixture
def installers(npm: FakeNpm) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    running: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        argv = [sys.executable, "-m", "copilot_nb.cli", "install-runtime", "--method", "npm"]
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()
    for pid in filter(alive, npm.runs):
        os.kill(pid, signal.SIGKILL)


Start = Callable[[], subprocess.Popen[str]]


def test_a_second_installer_waits_and_takes_what_the_first_one_made(
    cache: Path, npm: FakeNpm, installers: Start
) -> None:
    npm.wait()
    first = installers()
    until(lambda: npm.runs)
    second = installers()
    assert second.stdout is not None
    assert "Another installation is running" in second.stdout.readline()
    npm.go()
    assert [process.wait(DEADLINE_S) for process in (first, second)] == [0, 0]
    assert len(npm.runs) == 1
    assert second.stdout.read().startswith(f"The Copilot runtime {PIN} is ready")
    assert not left_over(cache)


def test_a_killed_installer_leaves_nothing_that_counts(cache: Path, npm: FakeNpm, installers: Start) -> None:
    npm.wait()
    first = installers()
    until(lambda: npm.runs)
    first.kill()
    first.wait(DEADLINE_S)
    with pytest.raises(RuntimeUnavailable, match="not installed"):
        find_runtime(environ=os.environ | {"PATH": ""})
    assert left_over(cache)
    npm.go()
    second = installers()  # the orphan npm of the first may still be writing
    assert second.wait(DEADLINE_S) == 0
    assert find_runtime().version == PIN
    until(lambda: not alive(npm.runs[0]))
    assert not left_over(cache)


@pytest.mark.parametrize(
    ("number", "ended"), [(signal.SIGINT, (130, "copilot-nb: interrupted\n")), (signal.SIGTERM, (143, ""))]
)
def test_a_signal_stops_npm_and_cleans_up(
    cache: Path, npm: FakeNpm, installers: Start, number: int, ended: tuple[int, str]
) -> None:
    npm.wait()
    process = installers()
    until(lambda: npm.runs)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, stderr) == ended
    assert not alive(npm.runs[0])
    assert not left_over(cache)


def test_the_lock_is_let_go_on_an_error(tmp_path: Path) -> None:
    waited: list[bool] = []
    with pytest.raises(ZeroDivisionError), locked(tmp_path, lambda: waited.append(True)):
        raise ZeroDivisionError
    with locked(tmp_path, lambda: waited.append(True)):
        assert not waited


# The SDK's download


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the base class
        pass


@pytest.fixture
def releases(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Serve a folder as GitHub's releases of the pinned version."""
    folder = tmp_path / "www" / f"v{PIN}"
    folder.mkdir(parents=True)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder.parent))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        monkeypatch.setenv("COPILOT_CLI_DOWNLOAD_BASE_URL", f"http://127.0.0.1:{server.server_port}")
        yield folder
        server.shutdown()
        thread.join()


def release(folder: Path, files: dict[str, str]) -> None:
    archive = folder / f"github-copilot-{PIN}-{PLATFORM}.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(f"package/prebuilds/{PLATFORM}/{name}")
            info.size, info.mode = len(text), 0o755
            tar.addfile(info, io.BytesIO(text.encode()))
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    (folder / "SHA256SUMS.txt").write_text(f"{digest}  {archive.name}\n")


def test_the_sdk_downloads(releases: Path) -> None:
    release(releases, {WRAPPER_NAME: WRAPPER, "runtime.node": "library"})
    said: list[str] = []
    location = install_runtime(progress=said.append)
    assert location.source == "the SDK's download"
    assert location == find_runtime()
    assert "GitHub's software" in said[0]


def test_the_sdks_failure_is_one_line(releases: Path) -> None:
    release(releases, {WRAPPER_NAME: WRAPPER})
    error = failure("sdk")
    assert error.message.startswith("the SDK's download failed: Error: Copilot runtime wrapper and runtime.node")
    assert error.hint == "run: copilot-nb install-runtime --method npm"


def test_github_that_answers_no(releases: Path) -> None:
    assert failure("sdk").message == "GitHub's download cannot be reached: HTTP 404"


def test_github_that_does_not_answer(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installer, "REACH_TIMEOUT_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("COPILOT_CLI_DOWNLOAD_BASE_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert failure("sdk").message == "GitHub's download cannot be reached: timed out"


def test_the_sdks_download_can_be_switched_off(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COPILOT_SKIP_CLI_DOWNLOAD", "1")
    assert "switched off by COPILOT_SKIP_CLI_DOWNLOAD" in failure("sdk").message
