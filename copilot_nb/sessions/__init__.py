"""Named sessions: the state of this kernel's conversations."""
