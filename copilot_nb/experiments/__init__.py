"""Comparing models, prompts and system messages: grids of isolated sessions, scores, statistics and plots.

The pure part needs no runtime: `scores` (the rows that statistics read), `statistics`, `intervals`, `power` and
`preferences` (numpy and scipy), `scorers`, `judge` and `program` (an answer to a number), `summary` and `plots` (a
result to read). Nothing here is imported by ``import copilot_nb`` or ``%load_ext copilot_nb``.
"""
