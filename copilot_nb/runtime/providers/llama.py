"""llama.cpp inside the kernel, through xllamacpp: the only module that imports it.

xllamacpp runs llama.cpp's server as threads of this process. The server always listens somewhere, by default
on an open TCP port; here it listens on a Unix socket in a folder that only this user can enter, and on nothing
else. Everything goes through that socket, because it is also the best way to stop: closing a connection frees
the slot within a token (0.03 s), and in the middle of a prompt within one batch (`BATCH_TOKENS`, 0.4 s),
without a thread of ours that waits for it.

Answers share one cache of `context_tokens` (``kv_unified``); conversations that are not being answered are
kept in `PROMPT_CACHE_MIB` of memory, so that a follow-up question needs no second reading of its history.
"""

from __future__ import annotations

import json
import os
import shutil
import ssl
import tempfile
import weakref
from collections.abc import AsyncGenerator
from functools import lru_cache
from pathlib import Path
from typing import Any

import httpx

from copilot_nb.errors import ProviderError

BATCH_TOKENS = 64
"""Tokens of a prompt read between two looks at whether the answer is still wanted (full speed from here up)."""
PROMPT_CACHE_MIB = 256
"""Memory for the conversations that wait, in MiB; SmolLM2-135M takes 23 kB a token."""
MAX_THREADS = 4
"""More threads hardly help a model of this size."""

_CGROUP_CPU_LIMIT = Path("/sys/fs/cgroup/cpu.max")
_INSTALL_HINT = 'type `%pip install "copilot-nb[local]"` and restart the kernel'


def default_threads() -> int:
    """Threads for the model: one processor is left to the kernel and the runtime.

    llama.cpp's threads spin while they wait for one another: with as many threads as processors a busy
    machine answers ten times slower, not a little. A container's limit counts, not the machine's size.
    """
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if _CGROUP_CPU_LIMIT.exists():
        quota, period = _CGROUP_CPU_LIMIT.read_text().split()
        cpus = cpus if quota == "max" else min(cpus, int(quota) // int(period))
    return max(1, min(MAX_THREADS, cpus - 1))


class Engine:
    """A loaded model and the private socket it answers on. Constructing one blocks for about a second.

    Parameters
    ----------
    path : Path
        The GGUF file.
    context_tokens : int
        Context that the answers in progress share, in tokens.
    parallel : int
        Answers at the same time (count).
    threads : int
        Processor threads of the model.

    Raises
    ------
    ProviderError
        Where xllamacpp is not installed or the file cannot be loaded.
    """

    def __init__(self, path: Path, *, context_tokens: int, parallel: int, threads: int) -> None:
        folder = tempfile.mkdtemp(prefix="cnb-")  # mkdtemp makes it 0700
        self._remove_folder = weakref.finalize(self, _remove, folder, os.getpid())
        self.socket = str(Path(folder, "llm.sock"))
        self._server = _load(path, self.socket, context_tokens, parallel, threads)
        self._client = httpx.Client(
            transport=httpx.HTTPTransport(uds=self.socket, verify=_no_tls()), base_url="http://m"
        )
        self.count = lru_cache(maxsize=4096)(self._count)

    def _count(self, text: str) -> int:
        return len(self._client.post("/tokenize", json={"content": text}).raise_for_status().json()["tokens"])

    async def stream(self, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """Send a chat-completions request and yield its events; closing the generator stops the model.

        Raises
        ------
        ProviderError
            Where llama.cpp refuses the request or fails.
        """
        # A transport for each request belongs to no event loop and takes the connection along when it closes.
        async with httpx.AsyncHTTPTransport(uds=self.socket, verify=_no_tls()) as transport:
            request = httpx.Request("POST", "http://m/v1/chat/completions", json=body)
            response = await transport.handle_async_request(request)
            if response.is_error:
                raise _failure(json.loads(await response.aread()))
            async for line in response.aiter_lines():
                if line.startswith("data: {"):
                    event = json.loads(line.removeprefix("data: "))
                    if "error" in event:
                        raise _failure(event)
                    yield event

    def close(self) -> None:
        """Free the model and remove its socket; answers in progress fail."""
        self._client.close()
        self._server = None
        self._remove_folder()


def _load(path: Path, socket: str, context_tokens: int, parallel: int, threads: int) -> Any:
    try:
        import xllamacpp
    except ImportError as error:
        raise ProviderError("The embedded model needs xllamacpp, which is not installed", _INSTALL_HINT) from error
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.hostnames = [socket]
    params.verbosity = -1  # nothing on the kernel's stdout and stderr
    params.ui = params.endpoint_slots = False
    params.n_ctx, params.n_parallel, params.kv_unified = context_tokens, parallel, True
    params.n_batch = params.n_ubatch = BATCH_TOKENS
    params.cache_ram_mib = PROMPT_CACHE_MIB
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    try:
        return xllamacpp.Server(params)
    except RuntimeError as error:
        raise ProviderError(f"The model file {path} cannot be loaded: {error}", "choose another GGUF file") from error


def _failure(event: dict[str, Any]) -> ProviderError:
    return ProviderError(f"The embedded model failed: {event['error']['message']}")


@lru_cache(maxsize=1)
def _no_tls() -> ssl.SSLContext:
    """Give httpx a context it never uses on a socket: making its default one costs 20 ms each time."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _remove(folder: str, owner_pid: int) -> None:
    if os.getpid() == owner_pid:  # a forked child that ends must not take it away
        shutil.rmtree(folder, ignore_errors=True)
