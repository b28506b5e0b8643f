"""Writes conversations to files, and reads them back.

The suffix selects the format:

* `.md`, `.html`: for reading; the model's text cannot run anything in them (`render.document`).
* `.ipynb`: for reading and for running again (`notebook_format`).
* `.json`: complete, and the only format that can be read back; see `json_format`.

Files are written atomically: first to a temporary file in the same folder, which is then renamed.
"""

from __future__ import annotations

import json
import os
import stat
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from copilot_nb.conversation.prompt import require_path
from copilot_nb.conversation.transcript import TurnRecord
from copilot_nb.errors import InputError
from copilot_nb.foreign_json import parsed
from copilot_nb.named_sessions.formats.json_format import Exported, Imported, from_json, to_json
from copilot_nb.named_sessions.formats.notebook_format import to_notebook
from copilot_nb.named_sessions.options import model_label
from copilot_nb.render.document import document_html, document_markdown, moment
from copilot_nb.render.turn import Label
from copilot_nb.system.paths import expanded

__all__ = ["Exported", "Imported", "export", "load"]


def export(turns: Sequence[TurnRecord], facts: Exported, path: str | Path, *, force: bool = False) -> Path:
    """Write a conversation to a file and return the file's path.

    Parameters
    ----------
    turns : sequence of TurnRecord
        The conversation, oldest first.
    facts : Exported
        The facts about its session.
    path : str or Path
        The file; its suffix (`.md`, `.html`, `.json` or `.ipynb`) selects the format.
    force : bool, default False
        Whether to replace an existing file.

    Raises
    ------
    InputError
        If the suffix is unknown, the file exists and `force` is not set, or it cannot be written.
    """
    path = expanded(require_path(path))
    written = _FORMATS.get(path.suffix.lower())
    if written is None:
        raise InputError(f"no export format for {str(path)[:80]!r}", f"end the name with {', '.join(_FORMATS)}")
    _check_place(path, force)
    # UTF-8 cannot encode a lone surrogate; it is written as its JSON escape.
    content = written(turns, facts).encode("utf-8", "backslashreplace")
    try:
        _write(path.absolute(), content)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot write {path}: {_reason(error)}", "choose another place") from error
    return path


def load(path: str | Path) -> Imported:
    """Read a conversation that was exported as `.json`.

    Raises
    ------
    InputError
        If the file cannot be read, or does not contain a conversation that this release supports.
    """
    path = expanded(require_path(path))
    try:
        return from_json(parsed(path.read_text("utf-8-sig")))
    except UnicodeDecodeError as error:
        raise InputError(f"cannot read {path}: it is not UTF-8 text", "name a file exported as .json") from error
    except json.JSONDecodeError as error:
        raise InputError(f"cannot read {path}: it is not JSON", "name a file exported as .json") from error
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: {_reason(error)}", "name a file exported as .json") from error


def _markdown(turns: Sequence[TurnRecord], facts: Exported) -> str:
    return document_markdown(turns, Label(facts.name, facts.provider), _shown(facts))


def _html(turns: Sequence[TurnRecord], facts: Exported) -> str:
    return document_html(turns, Label(facts.name, facts.provider), _shown(facts))


def _shown(facts: Exported) -> dict[str, str]:
    return {
        "Model": model_label(facts.provider, facts.model) if facts.provider else facts.model,
        "Session": facts.session_id,
        "System message": facts.system,
        "Exported": moment(facts.exported_at),
    }


def _json(turns: Sequence[TurnRecord], facts: Exported) -> str:
    return json.dumps(to_json(turns, facts), ensure_ascii=False, indent=2) + "\n"


def _notebook(turns: Sequence[TurnRecord], facts: Exported) -> str:
    return json.dumps(to_notebook(turns, facts), ensure_ascii=False, indent=1) + "\n"


_FORMATS: dict[str, Callable[[Sequence[TurnRecord], Exported], str]] = {
    ".md": _markdown,
    ".html": _html,
    ".json": _json,
    ".ipynb": _notebook,
}


_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


def _check_place(path: Path, force: bool) -> None:
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder", "name a file in it")
        if not path.parent.is_dir():
            raise InputError(f"there is no folder {path.parent}", "create it first, or choose another place")
        if os.path.lexists(path) and not force:
            raise InputError(f"{path} exists already", "choose another name, or replace it with --force")
    except (OSError, ValueError) as error:
        raise InputError(f"cannot write {str(path)[:80]!r}: {_reason(error)}", "choose another place") from error


def _write(path: Path, content: bytes) -> None:
    """Write a file atomically, with the permissions of the file it replaces; a link is replaced, not followed."""
    partial = path.with_name(f".{uuid.uuid4().hex}.part")
    old = path.lstat() if os.path.lexists(path) else None
    rights = stat.S_IMODE(old.st_mode) if old is not None and stat.S_ISREG(old.st_mode) else None
    try:
        with os.fdopen(os.open(partial, _NEW, 0o666 if rights is None else 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if rights is not None:
            partial.chmod(rights)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
