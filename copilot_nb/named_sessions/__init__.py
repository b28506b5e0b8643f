"""Named sessions: the state of this kernel's conversations.

From the bottom up; a module imports only those above it in this list, or beside it:

- what is said of a session: `names` and ids, `users`, `options` and their `aliases`, the stored `metadata`, `history`,
  `usage`; what goes with a prompt: `attach`, `cells` (which cell sent which turn);
- `state`: one session as plain data, with its `turn` handles and the `turn_runner` that sends one prompt at a time;
- `engine`: the event loop, the runtime's client and the providers; with `stored_sessions` (the sessions on disk by
  name), `selector` (provider and model) and `seats` (how many turns run at once);
- what works on states and the engine: `turn_queue`, `rerun`, `rewind`, `limits`, `stored_history`, `listing`, `search`;
- `session`: the user's handle. Nothing above depends on it;
- `open_sessions` (this kernel's handles by name), `events` (who is told of changes), and `manager`, which joins them;
- `models` and `formats` (export and import), which use a manager; `api`, the functions that `copilot_nb` exports.

The folder has no sub-folders for the queue or for the choice of a model: each would have files on both sides of the
engine, so the picture would have more arrows, not fewer.

This package is not called `sessions`, because importing it would overwrite the public function of that name.
"""
