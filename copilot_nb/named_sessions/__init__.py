"""Named sessions: the state of this kernel's conversations.

The state of a session is plain data (`state`). `engine`, `turn_runner`, `turn_queue`, `rewind`, `rerun`, `limits` and
`reading` work on that data; none of them depends on the user's handle, `session`. `registry` maps names to handles,
`manager` combines the parts, and `api` holds the functions that `copilot_nb` exports.

This package is not called `sessions`, because importing it would overwrite the public function of that name.
"""
