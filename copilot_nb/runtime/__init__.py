"""The Copilot runtime: found, started, kept alive and spoken to; the only room that imports the SDK."""
