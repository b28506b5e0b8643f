"""What copilot_nb costs, measured against the bare SDK (``make bench``, or ``python -m bench [NAME…]``).

A time by itself says more about the machine than about the code. So each time is a ratio to a peer measured in the
same run and by turns with it; what is shown is the median of the repetitions, with the smallest and the largest. The
model is a `ScriptedModel`, which answers at once unless a benchmark says otherwise; the runtime is the real one.
"""
