"""The budget of a run of a comparison: limits of cost and tokens, and the amounts spent so far."""

from __future__ import annotations

from dataclasses import dataclass, replace

from copilot_nb.conversation.parts import Usage


@dataclass
class Budget:
    """The limits of one run, and the amounts spent. Stored answers of earlier runs do not count.

    A cell is started only while the amount spent leaves room for it and each running cell, if each takes as much as the
    dearest answer so far; and not more cells run than answers have arrived, at first one. So only answers that are
    dearer than all before can exceed a limit.

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
    _dearest: float = 0.0
    _longest: int = 0

    def anew(self) -> Budget:
        """Return the rest of the budget for answers of another kind, which take other amounts than the earlier ones."""
        return replace(self, _asked=0, _dearest=0.0, _longest=0)

    @property
    def is_limited(self) -> bool:
        """Whether there is any limit."""
        return self.max_cost is not None or self.max_tokens is not None

    def add(self, usages: list[Usage]) -> None:
        """Add the usage of a cell's turns."""
        tokens = sum(usage.input_tokens + usage.output_tokens for usage in usages)
        costs = [usage.cost for usage in usages]
        cost = sum(cost for cost in costs if cost is not None)
        self._asked += bool(usages)
        self.tokens, self._longest = self.tokens + tokens, max(self._longest, tokens)
        self.cost, self._dearest = self.cost + cost, max(self._dearest, cost)
        self.unknown += None in costs

    def has_room(self, under_way: int) -> bool:
        """Whether one more cell may start while `under_way` cells are running."""
        if not self.is_limited:
            return True
        return under_way <= self._asked and not self.reason(under_way)

    def reason(self, under_way: int = 0) -> str:
        """Return why no more cells are started; ``""`` if there is room."""
        if self.max_tokens is not None and self.tokens + (under_way + 1) * self._longest > self.max_tokens:
            return f"stopped at {self.tokens:,} tokens: one more answer could pass max_tokens={self.max_tokens:,}"
        if self.max_cost is None:
            return ""
        if self.unknown:
            return "stopped: max_cost cannot be kept, because an answer's cost is unknown; max_tokens can"
        if self.cost + (under_way + 1) * self._dearest > self.max_cost:
            return f"stopped at a cost of {self.cost:.3g}: one more answer could pass max_cost={self.max_cost:g}"
        return ""
