"""Deterministic models for tests, behind the real runtime.

For example, in a notebook's test::

    import copilot_nb.testing as testing

    model = testing.ScriptedModel(["Hello.", testing.Reply(error=testing.ChatError(500, "down"))])
    testing.install(model)
"""

from copilot_nb.providers.chat import ChatError, ChatRequest, Message
from copilot_nb.providers.pieces import FunctionCall
from copilot_nb.testing.plug import install
from copilot_nb.testing.scripted import Reply, ScriptedModel

__all__ = ["ChatError", "ChatRequest", "FunctionCall", "Message", "Reply", "ScriptedModel", "install"]
