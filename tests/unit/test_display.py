"""How often a live output is replaced: what went out decides what may go out next."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import pytest

from copilot_nb.notebook import display
from copilot_nb.notebook.display import BYTES_PER_S, UPDATE_EVERY_S, _Pace

SIZE_CHARS, DURATION_S, STEP_S = 20_000, 15.0, 0.05


def streamed(monkeypatch: pytest.MonkeyPatch, html_per_char: int) -> tuple[int, list[float]]:
    """Stream an answer; return the bytes of its updates, and the pauses between them."""
    now_s = [0.0]
    monkeypatch.setattr(display, "time", SimpleNamespace(monotonic=lambda: now_s[0]))
    pace, sent_bytes, at_s = _Pace(1), 0, list[float]()
    while now_s[0] <= DURATION_S:
        chars = int(SIZE_CHARS * now_s[0] / DURATION_S)
        if pace.is_due(chars):
            update = "x" * chars * html_per_char
            pace.sent(update, chars)
            sent_bytes += len(update)
            at_s.append(now_s[0])
        now_s[0] += STEP_S
    return sent_bytes, [after - before for before, after in itertools.pairwise(at_s)]


@pytest.mark.parametrize("html_per_char", [1, 2, 4])
def test_updates_keep_within_their_budget(monkeypatch: pytest.MonkeyPatch, html_per_char: int) -> None:
    sent_bytes, pauses_s = streamed(monkeypatch, html_per_char)
    assert sent_bytes <= BYTES_PER_S * DURATION_S
    assert min(pauses_s) >= UPDATE_EVERY_S - 1e-9
    assert max(pauses_s) <= SIZE_CHARS * html_per_char / BYTES_PER_S + 2 * STEP_S


def test_lean_html_comes_more_often(monkeypatch: pytest.MonkeyPatch) -> None:
    lean, rich = (streamed(monkeypatch, html_per_char)[1] for html_per_char in (1, 2))
    assert max(lean) < 0.7 * max(rich)
