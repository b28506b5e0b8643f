"""Finds, starts and talks to the Copilot runtime; only this folder imports the SDK."""
