"""The budget of a run of a comparison: limits of cost and tokens, and the amounts spent so far."""

from __future__ import annotations

from dataclasses import dataclass, replace

from copilot_nb.conversation.parts import Usage


@dataclass
class Budget:
    """The limits of one run, and the amounts spent. Stored answers of earlier runs do not count.

    A cell is started only while the amount spent, plus the mean per cell so far for each running cell, leaves room for
    it; until the first answer has arrived, one cell at a time runs. So a limit is exceeded by little.

    Attributes
    ----------
    max_cost : float or None
        In the runtime's unit, as `Usage.cost`; ``None``: no limit.
    max_tokens : int or None
        Tokens, in and out; ``None``: no limit.
    cost, tokens : float, int
        The amounts spent.
    unknown : int
        Answers whose cost is unknown (count).
    """

    max_cost: float | None = None
    max_tokens: int | None = None
    cost: float = 0.0
    tokens: int = 0
    unknown: int = 0
    _asked: int = 0
    _cost_before: float = 0.0
    _tokens_before: int = 0

    def anew(self) -> Budget:
        """Return the rest of the budget for answers of another kind: their mean is not that of the earlier ones."""
        return replace(self, _asked=0, _cost_before=self.cost, _tokens_before=self.tokens)

    @property
    def is_limited(self) -> bool:
        """Whether there is any limit."""
        return self.max_cost is not None or self.max_tokens is not None

    def add(self, usages: list[Usage]) -> None:
        """Add the usage of a cell's turns."""
        self._asked += bool(usages)
        self.tokens += sum(usage.input_tokens + usage.output_tokens for usage in usages)
        costs = [usage.cost for usage in usages]
        self.cost += sum(cost for cost in costs if cost is not None)
        self.unknown += None in costs

    def has_room(self, under_way: int) -> bool:
        """Whether one more cell may start while `under_way` cells are running."""
        if not self.is_limited:
            return True
        if not self._asked and under_way:
            return False
        return not self.reason(under_way)

    def reason(self, under_way: int = 0) -> str:
        """Return why no more cells are started; ``""`` if there is room."""
        share = (under_way + 1) / self._asked if self._asked else 0.0
        tokens = self.tokens + share * (self.tokens - self._tokens_before)
        if self.max_tokens is not None and tokens > self.max_tokens:
            return f"stopped at {self.tokens:,} tokens: one more answer would pass max_tokens={self.max_tokens:,}"
        if self.max_cost is None:
            return ""
        if self.unknown:
            return "stopped: max_cost cannot be kept, because an answer's cost is unknown; max_tokens can"
        if self.cost + share * (self.cost - self._cost_before) > self.max_cost:
            return f"stopped at a cost of {self.cost:.3g}: one more answer would pass max_cost={self.max_cost:g}"
        return ""
