"""Threads, processes and their environment; knows nothing of Copilot."""
