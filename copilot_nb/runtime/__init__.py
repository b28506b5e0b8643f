"""Finds, starts and talks to the Copilot runtime; only this folder imports the SDK."""

from copilot_nb.runtime.sdk_classes import make_at_first_use

make_at_first_use()
