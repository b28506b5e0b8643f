"""A login as the live output of a cell: where to enter which code, and then the result.

The code is valid for some minutes and one login; the finished output does not contain it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from IPython.display import DisplayHandle

from copilot_nb.frontend import has_rich_output
from copilot_nb.render.escape import escape, quote

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from copilot_nb.runtime.login import DeviceCode

WAITING = "Waiting for you to enter it, on any device; interrupt the kernel to cancel."
_LARGE = ' style="font-size:2em;letter-spacing:.1em;margin:.2em 0"'


class SignInOutput:
    """An output that is replaced as the login proceeds; in a terminal, lines.

    Parameters
    ----------
    shell : InteractiveShell
        Where it is shown.
    """

    def __init__(self, shell: InteractiveShell) -> None:
        self._handle = DisplayHandle() if has_rich_output(shell) else None
        self._is_shown = False

    def begin(self) -> None:
        """Say that a code is being requested."""
        self._show("Asking GitHub for a code…")

    def wait(self, code: DeviceCode) -> None:
        """Show the code and where to enter it."""
        url, large = quote(code.url), quote(code.code)
        html = (
            f'<div class="copilot-nb"><p>Open <a href="{url}" target="_blank" rel="noopener noreferrer">{url}</a> '
            f"and enter the code</p><p{_LARGE}><code>{large}</code></p><p>{escape(WAITING)}</p></div>"
        )
        self._show(f"Open {code.url} and enter the code {code.code}\n{WAITING}", html)

    def finish(self, line: str) -> None:
        """Show the result."""
        self._show(line)

    def _show(self, text: str, html: str = "") -> None:
        if self._handle is None:
            print(text, flush=True)
            return
        bundle = {"text/html": html or f"<p>{escape(text)}</p>", "text/plain": text}
        if self._is_shown:
            self._handle.update(bundle, raw=True)
        else:
            self._handle.display(bundle, raw=True)
        self._is_shown = True
