"""Named sessions: the state of this kernel's conversations.

The room is not called `sessions`, for that is a public function: importing a room of its name would put the room in its
place.
"""
