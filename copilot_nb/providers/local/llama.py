"""llama.cpp beside the kernel, through xllamacpp.

xllamacpp runs llama.cpp's server as threads of a process, here one of its own (`llama_process` says why). The server
always listens somewhere, by default on an open TCP port; here it listens on a Unix socket in a folder that only this
user can enter, and on nothing else. Closing a connection stops its answer: it frees the slot within a token (0.03 s),
and in the middle of a prompt within one batch (`BATCH_TOKENS`, 0.4 s).

Answers share one cache of `context_tokens` (``kv_unified``); conversations that are not being answered are
kept in `PROMPT_CACHE_MIB` of memory, so that a follow-up question needs no second reading of its history, also
where there are more sessions than slots.
"""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import weakref
from collections.abc import AsyncGenerator
from functools import lru_cache
from pathlib import Path
from typing import Any

import httpx

from copilot_nb.errors import ProviderError
from copilot_nb.providers.local import llama_process
from copilot_nb.system.environment import without_keys
from copilot_nb.system.forks import keep_pipes_from_forks

BATCH_TOKENS = 64
"""Tokens of a prompt read between two looks at whether the answer is still wanted (full speed from here up)."""
PROMPT_CACHE_MIB = 256
"""Memory for the conversations that wait, in MiB; SmolLM2-135M takes 23 kB a token."""
MAX_THREADS = 4
"""More threads hardly help a model of this size."""

_CGROUP_CPU_LIMIT = Path("/sys/fs/cgroup/cpu.max")
_INSTALL_HINT = "run: copilot-nb install-model"
_STOPPED = "The embedded model has stopped; it is loaded again at the next prompt"
_KILL_AFTER_S = 2.0


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


class LlamaServer:
    """A loaded model and the private socket it answers on. Constructing one blocks for half a second, or longer.

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
        wanted = {
            "path": str(path),
            "socket": self.socket,
            "context_tokens": context_tokens,
            "parallel": parallel,
            "threads": threads,
            "batch_tokens": BATCH_TOKENS,
            "prompt_cache_mib": PROMPT_CACHE_MIB,
        }
        self._process = _start(wanted)
        self._client = httpx.Client(
            transport=httpx.HTTPTransport(uds=self.socket, verify=_no_tls()), base_url="http://m"
        )
        self.count = lru_cache(maxsize=4096)(self._count)

    def _count(self, text: str) -> int:
        try:
            answer = self._client.post("/tokenize", json={"content": text}).raise_for_status()
        except httpx.TransportError as error:
            raise ProviderError(_STOPPED) from error
        return len(answer.json()["tokens"])

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
            try:
                response = await transport.handle_async_request(request)
                if response.is_error:
                    raise _failure(json.loads(await response.aread()))
                async for line in response.aiter_lines():
                    if line.startswith("data: {"):
                        event = json.loads(line.removeprefix("data: "))
                        if "error" in event:
                            raise _failure(event)
                        yield event
            except httpx.TransportError as error:
                raise ProviderError(_STOPPED) from error

    @property
    def is_alive(self) -> bool:
        """Whether it can answer: not closed, and not ended by itself."""
        return self._process.poll() is None

    def close(self) -> None:
        """Free the model and remove its socket; answers in progress fail."""
        self._client.close()
        _end(self._process)
        self._remove_folder()


def _start(wanted: dict[str, Any]) -> subprocess.Popen[str]:
    process = subprocess.Popen(  # noqa: S603 - this interpreter, on a file of ours
        [sys.executable, "-P", llama_process.__file__, json.dumps(wanted)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=without_keys(),
        start_new_session=True,  # a kernel's interrupt goes to its whole process group
    )
    keep_pipes_from_forks(process)
    assert process.stdout is not None
    with process.stdout:
        said = process.stdout.read().strip()
    if said == llama_process.READY:
        return process
    _end(process)
    if said == llama_process.MISSING:
        raise ProviderError("The embedded model needs xllamacpp, which is not installed", _INSTALL_HINT)
    why = said or f"the engine ended with exit code {process.returncode}"
    raise ProviderError(f"The model file {wanted['path']} cannot be loaded: {why}", "choose another GGUF file")


def _end(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(_KILL_AFTER_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _failure(event: dict[str, Any]) -> ProviderError:
    return ProviderError(f"The embedded model failed: {event['error']['message']}")


@lru_cache(maxsize=1)
def _no_tls() -> ssl.SSLContext:
    """Give httpx a context it never uses on a socket: making its default one costs 20 ms each time."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _remove(folder: str, owner_pid: int) -> None:
    if os.getpid() == owner_pid:  # a forked child that ends must not take it away
        shutil.rmtree(folder, ignore_errors=True)
