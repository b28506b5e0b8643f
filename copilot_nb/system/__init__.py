"""Threads, processes and their environment: what is of the operating system, and knows nothing of Copilot."""
