"""A model file that is in memory while it is used: loaded at its first use, in a thread, unloaded when idle."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager
from pathlib import Path

from copilot_nb.errors import ProviderError
from copilot_nb.providers.local.llama import LlamaServer
from copilot_nb.system.threads import DaemonPool

Progress = Callable[[str], None]


class ModelLoader:
    """Keeps one server while it is used.

    Parameters
    ----------
    name : str
        What the model is called in a note.
    locate : callable
        Returns the file, downloading it if need be; called in a thread, with a function that takes a note.
    load : callable
        Loads the file; called in the same thread.
    idle_s : float
        Seconds without use after which the server is closed.

    Attributes
    ----------
    note : str
        What keeps it from answering at once; ``""`` where nothing does.
    worker : DaemonPool
        The thread in which everything that blocks is done.
    """

    def __init__(
        self, name: str, locate: Callable[[Progress], Path], load: Callable[[Path], LlamaServer], idle_s: float
    ) -> None:
        self.note = ""
        self.worker = DaemonPool(1, "copilot-nb-local-model")
        self._name = name
        self._locate = locate
        self._load_file = load
        self._idle_s = idle_s
        self._lock = threading.Lock()
        self._loading: Future[LlamaServer] | None = None
        self._users = 0
        self._timer: threading.Timer | None = None
        self._closed = False

    @asynccontextmanager
    async def server(self) -> AsyncGenerator[LlamaServer, None]:
        """Give the server, loaded if need be; it stays as long as the context.

        Raises
        ------
        ProviderError
            If the file cannot be had or loaded, or this was closed.
        """
        self._enter()
        try:
            yield await asyncio.shield(asyncio.wrap_future(self.load()))
        finally:
            self._leave()

    def load(self) -> Future[LlamaServer]:
        """Begin to load it, unless it is; any thread may call it."""
        with self._lock:
            if self._closed:
                raise ProviderError("The embedded model was closed; restart the kernel to use it again")
            if self._loading is None or _is_spent(self._loading):
                self._loading = self.worker.submit(self._make, self._loading)
                self._restart_idle_timer()
            return self._loading

    def _make(self, spent: Future[LlamaServer] | None) -> LlamaServer:
        _close(spent)
        try:
            self._set_note(f"loading {self._name} …")
            path = self._locate(self._set_note)
            self._set_note(f"loading {self._name} ({path.stat().st_size / 1e6:.0f} MB) …")
            return self._load_file(path)
        finally:
            self._set_note("")

    def _set_note(self, note: str) -> None:
        self.note = note

    def _enter(self) -> None:
        with self._lock:
            self._users += 1
            self._restart_idle_timer()

    def _leave(self) -> None:
        with self._lock:
            self._users -= 1
            self._restart_idle_timer()

    def _restart_idle_timer(self) -> None:
        """Let the time run from now, if nobody uses it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._users == 0 and self._loading is not None and not self._closed:
            self._timer = threading.Timer(self._idle_s, self._submit_unload)
            self._timer.daemon = True
            self._timer.start()

    def _submit_unload(self) -> None:
        with self._lock:
            if not self._closed:
                self.worker.submit(self._unload_unused)

    def _unload_unused(self) -> None:
        with self._lock:
            if self._users:
                return
            loading, self._loading = self._loading, None
        _close(loading)

    def close(self) -> Future[None]:
        """Close the server, for good; answers in progress fail. The future is done when it is closed."""
        with self._lock:
            self._closed = True
            self._restart_idle_timer()
        done = self.worker.submit(self._free)
        self.worker.shutdown()
        return done

    def _free(self) -> None:
        loading, self._loading = self._loading, None
        _close(loading)


def _is_spent(loading: Future[LlamaServer]) -> bool:
    if not loading.done():
        return False
    return loading.exception() is not None or not loading.result().is_alive


def _close(loading: Future[LlamaServer] | None) -> None:
    if loading is not None and loading.exception() is None:
        loading.result().close()
