"""Finds the Copilot runtime, and installs it and the embedded model; nothing here imports the SDK."""
