"""The pure middle: what a conversation is, with no runtime, no notebook and no I/O in it."""
