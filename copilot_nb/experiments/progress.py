"""The progress of a comparison."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from copilot_nb.render.words import count, duration

if TYPE_CHECKING:
    from copilot_nb.render.columns import ShownTurn

_WHOLE_FROM = 9.5
"""The rate that is shown without decimals."""


@dataclass(frozen=True, slots=True)
class Progress:
    """The state of a running comparison, passed to `on_progress`; its text is one line.

    Attributes
    ----------
    total : int
        Cells of the comparison (count).
    done : int
        Cells that have an answer, including earlier ones.
    kept : int
        Cells that had an answer before the run.
    failed : int
        Cells that ended without one.
    tokens : int
        Input and output tokens of this run.
    cost : float
        Known cost of this run.
    unknown : int
        Answers of this run whose cost is unknown (count).
    elapsed_s : float
        Seconds since the run began.
    note : str
        The current activity, if it is not requesting answers.
    judging : Progress or None
        The progress of the judge.
    what : str
        The answers' name: ``"answer"``, or ``"judgement"`` for a judge's replies.
    answers : tuple of ShownTurn
        The answers so far, as they stream; empty for a comparison of more than eight.
    """

    total: int
    done: int = 0
    kept: int = 0
    failed: int = 0
    tokens: int = 0
    cost: float = 0.0
    unknown: int = 0
    elapsed_s: float = 0.0
    note: str = ""
    judging: Progress | None = None
    what: str = "answer"
    answers: tuple[ShownTurn, ...] = field(default=(), repr=False)

    @property
    def per_minute(self) -> float | None:
        """Answers a minute, in this run so far; ``None`` before the first."""
        ended = self.done - self.kept + self.failed
        return 60 * ended / self.elapsed_s if ended and self.elapsed_s else None

    @property
    def left_s(self) -> float | None:
        """Seconds until the end at the rate so far; ``None`` before the first answer of this run."""
        ended = self.done - self.kept + self.failed
        return None if not ended else self.elapsed_s / ended * (self.total - self.done - self.failed)

    @property
    def outcome(self) -> str:
        """The progress as text when nothing runs any more: without the rate and the time left."""
        return self._text(is_over=True)

    def then(self, judging: Progress) -> Progress:
        """Return this progress with that of the judge after it, whose tokens and cost include the earlier ones."""
        names = ("tokens", "cost", "unknown")
        spent = {name: max(getattr(self, name), getattr(judging, name)) for name in names}  # the first report has none
        own = replace(judging, tokens=0, cost=0.0, unknown=0, what="judgement")
        return replace(self, **spent, judging=own)

    def with_note(self, note: str) -> Progress:
        """Return this progress with a note."""
        return replace(self, note=note)

    def __str__(self) -> str:
        return self._text(is_over=bool(self.note))

    def _text(self, *, is_over: bool) -> str:
        said = [f"{self.done:,} of {count(self.total, self.what)}"]
        said += [f"{self.kept:,} kept from before"] if self.kept else []
        said += [f"{self.failed:,} failed"] if self.failed else []
        said += [f"{self.tokens:,} tokens"] if self.tokens else []
        said += [self._costs()] if self.cost or self.unknown else []
        if self.judging is not None:
            said.append(self.judging.outcome if is_over else str(self.judging))
        elif self.per_minute and self.left_s and not is_over:
            digits = ",.0f" if self.per_minute >= _WHOLE_FROM else ".2g"
            said += [f"{self.per_minute:{digits}} a minute", f"{duration(self.left_s)} left"]
        return " · ".join([*said, self.note] if self.note else said)

    def _costs(self) -> str:
        if not self.cost:
            return f"cost of {count(self.unknown, self.what)} unknown"
        known = f"cost {self.cost:.3g}"
        return f"{known} ({count(self.unknown, self.what)} of unknown cost)" if self.unknown else known
