"""What a notebook of one person tries on another's files, processes and kernels; imported in that notebook's kernel."""

from __future__ import annotations

import os
import socket
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00"
"""How a connection to a kernel begins: a signature, and the version (https://rfc.zeromq.org/spec/23/#greeting)."""
MECHANISM = slice(12, 32)
"""Where the answer names how the kernel protects what it says."""


def readable(folder: str) -> list[str]:
    """Return the files below a folder that can be read, and the folders that can be written to."""
    found = []
    for place, folders, files in os.walk(folder):
        found += [f"{place}/{name}" for name in files if os.access(f"{place}/{name}", os.R_OK)]
        found += [f"{place}/{name}/" for name in folders if os.access(f"{place}/{name}", os.W_OK)]
    return found


def secrets_of(process_id: int) -> list[str]:
    """Return what can be read of a process that is private, and whether it can be ended."""
    found = []
    for name in ("environ", "mem", "maps"):
        with suppress(OSError), Path(f"/proc/{process_id}/{name}").open("rb") as file:
            file.read(1)
            found.append(name)
    with suppress(OSError):
        found += [file.name for file in Path(f"/proc/{process_id}/fd").iterdir()]
    with suppress(OSError):
        os.kill(process_id, 0)
        found.append("kill")
    return found


def mechanism_of(port: int) -> str:
    """Return how a port of a kernel is protected: CURVE, or NULL for not at all."""
    with socket.create_connection(("127.0.0.1", port)) as kernel:
        kernel.sendall(GREETING)
        heard = b""
        while len(heard) < MECHANISM.stop and (more := kernel.recv(MECHANISM.stop)):
            heard += more
    return heard[MECHANISM].rstrip(b"\0").decode()


def status_of(url: str) -> int:
    """Return how a server answers a request with the token of this notebook's server."""
    token = {"Authorization": f"token {os.environ['JUPYTERHUB_API_TOKEN']}"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=token)) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code
