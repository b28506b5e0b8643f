"""Deterministic models for tests, plugged in where the real one is: behind the real runtime."""
