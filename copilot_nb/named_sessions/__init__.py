"""Named sessions: the state of this kernel's conversations.

A session is plain data (`state`). `engine`, `turn_runner` and `turn_queue` work on it, and so do `rewind`, `rerun`,
`limits` and `reading`; none of them knows the user's handle, `session`. The `registry` keeps the handles by name, the
`manager` puts all together, and `api` is what `copilot_nb` exports.

This package is not called `sessions`: importing it would put it in the place of the public function of that name.
"""
