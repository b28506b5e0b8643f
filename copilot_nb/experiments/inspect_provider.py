"""Models for Inspect (inspect_ai) that answer in Copilot sessions: ``copilot/PROVIDER/MODEL``.

Inspect finds this module by its entry point. Each call is a turn. A conversation goes on in the session that holds what
was said before; Inspect sends the whole conversation each time, and the runtime keeps it itself. What the runtime
cannot be told (tools, a temperature, …) is refused, because an ignored setting would make a result wrong.
"""

from __future__ import annotations

import asyncio
import atexit
import hashlib
import json
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from inspect_ai.model import ChatMessageSystem, GenerateConfig, ModelAPI, ModelOutput, ModelUsage, modelapi

from copilot_nb.errors import CopilotNBError

if TYPE_CHECKING:
    from copilot_nb.named_sessions.session import Session

APPLIED = {"reasoning_effort", "system_message"}
OF_INSPECT = {
    "adaptive_connections",
    "attempt_timeout",
    "cache",
    "fail_on_refusal",
    "max_connections",
    "max_retries",
    "timeout",
}
"""Settings that Inspect applies itself."""


@modelapi(name="copilot")
def copilot() -> type[ModelAPI]:
    """Return the class of the models, which Inspect makes."""
    return CopilotAPI


class CopilotAPI(ModelAPI):
    """A model in Copilot sessions.

    Parameters
    ----------
    model_name : str
        ``PROVIDER/MODEL``, or a provider, for its default model.
    base_url, api_key : None
        Not taken: the provider knows its address and the source of its key.
    config : GenerateConfig
        Inspect's defaults for this model.
    **model_args : object
        Not taken.
    """

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig = GenerateConfig(),  # noqa: B008 - as Inspect calls it
        **model_args: Any,
    ) -> None:
        from copilot_nb.named_sessions.api import shared_manager

        super().__init__(model_name, base_url, api_key, [], config)
        if given := [*(["base_url"] if base_url else []), *(["api_key"] if api_key else []), *model_args]:
            raise ValueError(f"copilot/{model_name} takes no {', '.join(given)}: see %copilot provider add")
        self._provider, _, self._model = model_name.partition("/")
        self._manager = shared_manager()
        # By the hash of what was said. Several: two epochs may have said the same.
        self._sessions: dict[str, list[Session]] = {}
        self._opened: list[Session] = []
        atexit.register(self._delete)  # `inspect eval` does not close its models

    async def generate(self, input: list[Any], tools: list[Any], tool_choice: Any, config: Any) -> Any:  # noqa: A002, ARG002
        """Send the last message to the session that holds the ones before it, and return the answer.

        Raises
        ------
        NotImplementedError
            If Inspect asks for something that a session cannot do.
        CopilotNBError
            If the turn fails.
        """
        _check(tools, config)
        system = "\n\n".join(message.text for message in input if isinstance(message, ChatMessageSystem))
        said = [(message.role, message.text) for message in input if not isinstance(message, ChatMessageSystem)]
        if not said or said[-1][0] != "user":
            raise NotImplementedError("a Copilot session answers a message of the user")
        session = await self._session(system, said[:-1], getattr(config, "reasoning_effort", None))
        turn = await session.send(said[-1][1], cell="")
        self._sessions.setdefault(_key(system, [*said, ("assistant", turn.text)]), []).append(session)
        return _output(turn.model or self._model, turn)

    async def _session(self, system: str, said: list[tuple[str, str]], effort: str | None) -> Session:
        if said:
            if held := self._sessions.get(_key(system, said)):
                return held.pop()
            raise NotImplementedError("a Copilot session cannot go on with a conversation that it has not had")
        session = await asyncio.to_thread(
            self._manager.session,
            f"inspect-{uuid.uuid4().hex}",
            model=self._model,
            provider=self._provider,
            system=system,
            effort=effort,
        )
        self._opened.append(session)
        return session

    async def aclose(self) -> None:
        """Delete the sessions."""
        atexit.unregister(self._delete)
        await asyncio.to_thread(self._delete)

    def _delete(self) -> None:
        while self._opened:
            with suppress(CopilotNBError):  # a leftover session does no harm
                self._opened.pop().delete()

    def max_connections(self) -> int:
        """Return the setting `max_parallel_turns`."""
        return int(self._manager.settings.max_parallel_turns)

    def connection_key(self) -> str:
        """Return the provider: its models share their connections."""
        return self._provider


def _check(tools: list[Any], config: Any) -> None:
    if tools:
        raise NotImplementedError("a Copilot session does not take tools of Inspect")
    given = config.model_dump(exclude_none=True)
    if refused := sorted(set(given) - APPLIED - OF_INSPECT):
        raise NotImplementedError(f"a Copilot session cannot be told {', '.join(refused)}")


def _key(system: str, said: list[tuple[str, str]]) -> str:
    return hashlib.sha256(json.dumps([system, said]).encode()).hexdigest()


def _output(model: str, turn: Any) -> Any:
    """Return a turn for Inspect, always with its usage: without one, Inspect loads a tokenizer from the network."""
    output = ModelOutput.from_content(model, turn.text)
    tokens = (turn.usage.input_tokens, turn.usage.output_tokens) if turn.usage else (0, 0)
    output.usage = ModelUsage(input_tokens=tokens[0], output_tokens=tokens[1], total_tokens=sum(tokens))
    output.time = turn.record.duration_s
    return output
