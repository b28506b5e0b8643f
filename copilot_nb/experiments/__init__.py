"""Comparing models, prompts and system messages: grids of isolated sessions, scores, statistics and plots.

How a comparison travels: `api.compare` reads `prompts` and `options` into a `grid` of cells, and makes a `plan`; the
`runner` asks each cell that has no answer (in this kernel, or where the `engines` run it), in the order of
`waiting_cells` and within its `budget`, reports `progress`, and commits each answer to the `store`. The result is a
`comparison`, which never asks a model.

- scores: `scorers` (ours and the user's), with `program` (runs code that a model wrote), `fingerprint` (when must a
  user's scorer run again?) and `scoring` (what is missing, in threads);
- preferences: `judge` (prompts and verdicts), `judging` (its cells), `ballot` (the votes of a person) and `opening`
  (its panel), `ratings` (of judges and people), `agreement`;
- statistics, on the rows of `scores`: `statistics` and `power` on `intervals`, `preferences`; numpy and scipy come
  with an extra (`extras`); `analysis` is their face in a `comparison`;
- what a reader sees: `summary` with `notes`, `preference_tables` and `tabular`; `plots` and `forest`; `tidy` for
  pandas; `shown_answers`, and `live_answers` while they stream;
- Inspect (inspect_ai): `inspect_logs` writes its logs, `inspect_provider` is its door to our sessions;
- the comparison panel: an `arena` of sessions, its `rounds` and their `round_store`, `earlier_turns`, and the
  `targets` that name one session for each model.

Only `api`, `runner`, `comparison` and the panel's part need sessions; the rest is pure. Of all this, ``import
copilot_nb`` imports only `opening`, which imports nothing.
"""
