"""Conversations as immutable data: no runtime, no notebook and no I/O."""
