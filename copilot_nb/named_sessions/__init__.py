"""Named sessions: the state of this kernel's conversations.

From the bottom up; a module imports only those above it in this list, or beside it:

- what is known of a session: `names` and ids, `users`, `options` and their `aliases`, the stored `metadata`, `history`,
  `usage`; `ages` and `dataframes`; what goes with a prompt: `attach`, `cells` (which cell sent which turn);
- `state`: one session as plain data, with its `turn` handles, the `turn_runner` that sends one prompt at a time, a
  `checked_answer`, and the `gate` that asks before a tool acts (`approvals`);
- `engine`: the event loop, the runtime's client and the providers; with `stored_sessions` (the sessions on disk by
  name), their `expiry`, `selector` (provider and model), `seats` (how many turns run at once), `toolbox`, and `in_use`
  (its error);
- what works on states and the engine: `turn_queue`, `rerun`, `rewind`, `limits`, `prompt_plan`, `stored_history`,
  `listing`, `search`;
- `session`: the user's handle, with `waiting`. Nothing above depends on it;
- `open_sessions` (this kernel's handles by name), `events` (who is told of changes), `send_plan` (a prompt to several
  sessions) and `manager`, which joins them;
- `models` and `formats` (export and import), which use a manager; `api`, the functions that `copilot_nb` exports.

The folder has no sub-folders for the queue or for the choice of a model: each would have files on both sides of the
engine, so the picture would have more arrows, not fewer.

This package is not called `sessions`, because importing it would overwrite the public function of that name.
"""
