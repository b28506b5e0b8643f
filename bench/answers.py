"""A long answer with code and mathematics, and the size of its pieces; the same in every process."""

from __future__ import annotations

import itertools

PIECES_PER_S = 20
_SECTION = r"""
## Step {n}: the gradient of the loss

The loss of sample {n} is $L_{n}(w) = \frac{{1}}{{2}} (x_{n}^\top w - y_{n})^2$, so its gradient is

$$
\nabla L_{n}(w) = x_{n} \left( x_{n}^\top w - y_{n} \right), \qquad \|w - w^*\|^2 \le \frac{{{n}}}{{\mu}}
$$

which `numpy` computes in **one line**:

```python
def gradient_{n}(w: np.ndarray, x: np.ndarray, y: float) -> np.ndarray:
    # the residual is a number, the gradient a vector
    residual = x @ w - y
    return {n} * residual * x  # scaled by the sample's weight
```

| quantity | value | meaning |
|---|--:|---|
| $w_{n}$ | {n}.5 | the weight of step {n} |
| `residual` | 0.{n} | what is left to explain |

1. Check the *shape* of `x`: it must be `(n,)`.
2. See [the manual](https://numpy.org/doc/stable/) if it is not.
"""


def answer(size_bytes: int) -> str:
    """Return an answer of this size in bytes (all of it is ASCII)."""
    sections = (_SECTION.format(n=n) for n in itertools.count(1))
    text = ""
    while len(text) < size_bytes:
        text += next(sections)
    return text[:size_bytes]


def piece_chars(size_bytes: int, duration_s: float) -> int:
    """Return the length of a piece if `PIECES_PER_S` pieces arrive each second."""
    return -(-size_bytes // int(duration_s * PIECES_PER_S))
