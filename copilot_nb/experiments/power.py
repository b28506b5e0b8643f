"""What a comparison could have seen, and how many prompts it would take: from the variances of the run itself."""

from __future__ import annotations

from collections.abc import Sequence

from copilot_nb.experiments.extras import extra
from copilot_nb.experiments.intervals import LEVEL

with extra("experiments"):
    import numpy as np
    from scipy import optimize, stats

POWER = 0.8
_TINY = 1e-12


def detectable_effect(differences: Sequence[float], level: float = LEVEL, power: float = POWER) -> float | None:
    r"""Return the smallest true difference that as many prompts show with probability `power`.

    ``None`` for fewer than two prompts, or where the differences do not vary.

    Notes
    -----
    The :math:`\delta` with :math:`P(t'_{P-1}(\delta\sqrt P/s) > t_{1-\alpha/2,\,P-1}) = power`, :math:`t'` the
    noncentral t distribution (J. Cohen, Statistical Power Analysis (1988), ch. 2). For many prompts this is
    :math:`(z_{1-\alpha/2} + z_{power})\,s/\sqrt P` of E. Miller (2024), arXiv:2411.00640, section 5.
    """
    d = np.asarray(differences, dtype=np.float64)
    if d.size < 2 or float(d.std(ddof=1)) < _TINY:  # noqa: PLR2004 - a variance takes two
        return None
    return noncentrality(d.size, level, power) * float(d.std(ddof=1)) / float(np.sqrt(d.size))


def noncentrality(prompts: int, level: float, power: float) -> float:
    """Return the true difference, in standard errors, that a paired t test of `prompts` shows with `power`."""
    freedom = prompts - 1
    limit = float(stats.t.ppf((1 + level) / 2, freedom))
    return float(optimize.brentq(lambda shift: float(stats.nct.sf(limit, freedom, shift)) - power, 0.0, 20 * limit))
