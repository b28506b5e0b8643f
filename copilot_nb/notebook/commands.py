"""What ``%%copilot`` and the subcommands of ``%copilot`` do."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from copilot_nb.conversation.prompt import interpolate
from copilot_nb.errors import InputError, SessionNotFound
from copilot_nb.notebook import arguments, inspection
from copilot_nb.notebook.answer import answer
from copilot_nb.notebook.background import Background
from copilot_nb.notebook.kernel import evaluate, is_headless, notebook_name
from copilot_nb.notebook.progress import wait_for
from copilot_nb.notebook.subcommands import SUBCOMMANDS, help_text
from copilot_nb.sessions.api import SessionList, sessions, shared_manager
from copilot_nb.sessions.names import check_name

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from copilot_nb.sessions.history import History
    from copilot_nb.sessions.manager import Manager
    from copilot_nb.settings import CopilotNB


class Desk:
    """Where the magics of one shell are served.

    Parameters
    ----------
    shell : InteractiveShell
        The shell the calls come from.
    settings : CopilotNB
        The settings of its sessions.

    Attributes
    ----------
    used : str
        The session chosen by ``%copilot use``, ``""`` for none.
    background : Background
        The outputs that stream behind the running cell.
    """

    def __init__(self, shell: InteractiveShell, settings: CopilotNB) -> None:
        self.shell = shell
        self.settings = settings
        self.used = ""
        self.background = Background()

    @property
    def manager(self) -> Manager:
        """The sessions of this kernel."""
        manager = shared_manager(self.settings)
        manager.notebook = notebook_name(self.shell)
        return manager

    def run_cell(self, line: str, body: str) -> None:
        """Serve ``%%copilot``: send the body and show the answer."""
        args = arguments.parse_cell(line)
        names = [check_name(name) for name in args.names] or ([self.used] if self.used else [])
        if not names:
            raise InputError("which session?", "name it (%%copilot session1), or choose one (%copilot use session1)")
        prompt = interpolate(body.strip("\n"), lambda expression: evaluate(self.shell, expression))
        answer(self, names, prompt, args)

    def run_line(self, line: str) -> object:
        """Serve ``%copilot``: a subcommand, or the status card."""
        word, _, rest = line.strip().partition(" ")
        name = word or "status"
        if name not in SUBCOMMANDS:
            raise InputError(f"%copilot does not know {word!r}", "see %copilot help; to ask: %copilot ask NAME PROMPT")
        if name == "ask":
            self.ask(rest)
            return None
        args = SUBCOMMANDS[name].parser().parse_args(arguments.split_words(rest))
        result: object = getattr(self, name)(args)
        return result

    def ask(self, rest: str) -> None:
        """Send one line to a session and show the answer."""
        args, prompt = arguments.parse_ask(rest)
        answer(self, [args.name], prompt, args)

    def status(self, _args: argparse.Namespace) -> object:
        """Show where things stand."""
        return inspection.status_card(self.manager, self.used)

    def help(self, args: argparse.Namespace) -> None:
        """Print the subcommands, or the help of one."""
        print(help_text(args.command))

    def ls(self, _args: argparse.Namespace) -> SessionList:
        """List the stored sessions."""
        _ = self.manager
        return sessions()

    def show(self, args: argparse.Namespace) -> History:
        """Return the last turns of a session, which the notebook renders."""
        name = check_name(args.name)
        if name not in [stored.name for stored in self.manager.stored()]:
            raise SessionNotFound(f"there is no session {name!r}", "see %copilot ls")
        return self.manager.session(name).history[-args.number :]

    def new(self, args: argparse.Namespace) -> None:
        """Create a session without asking it anything."""
        session = self.manager.session(
            args.name,
            model=args.model or "",
            provider=args.provider or "",
            system=arguments.system_message(args.system),
            session_id=args.session_id or "",
            new=args.new,
            take_over=args.take_over,
        )
        session.create()
        print(f"Created {session!r}")

    def use(self, args: argparse.Namespace) -> None:
        """Choose the session of ``%%copilot`` cells that name none."""
        if args.name:
            self.used = check_name(args.name)
        print(f"%%copilot without a name goes to: {self.used or '(none chosen)'}")

    def rm(self, args: argparse.Namespace) -> None:
        """Delete sessions and their histories."""
        names = [check_name(name) for name in args.names]
        listing = {stored.name: stored for stored in self.manager.stored()}
        doomed = [
            f"{name} (id {listing[name].session_id}, {listing[name].turns} turns)" for name in names if name in listing
        ]
        if doomed and not args.yes and not self._confirmed(doomed):
            print("Nothing was deleted.")
            return
        for name in names:
            self.manager.delete(name)
            print(f"Deleted {name}.")

    def _confirmed(self, doomed: list[str]) -> bool:
        if is_headless(self.shell):
            raise InputError(
                f"nobody is here to confirm deleting {', '.join(doomed)}", "add -y to delete without asking"
            )
        answer_ = input(f"Delete, irreversibly: {', '.join(doomed)}? [y/N] ")
        return answer_.strip().lower() in ("y", "yes")

    def wait(self, args: argparse.Namespace) -> None:
        """Wait for the turns that run in the background, and fail if one of them did."""
        turns = self.background.take_turns([check_name(name) for name in args.names])
        try:
            wait_for(self.shell, turns)
        finally:
            self.background.settle()

    def stop(self, args: argparse.Namespace) -> None:
        """Stop the turns under way of one session or of all."""
        if bool(args.name) == args.all:
            raise InputError("stop what?", "%copilot stop NAME, or %copilot stop --all")
        name = "" if args.all else check_name(args.name)
        working = [session for session in self.manager if session.state == "working"]
        working = [session for session in working if not name or session.name == name]
        for session in working:
            session.stop()
        print(f"Stopped: {', '.join(session.name for session in working)}" if working else "Nothing was under way.")

    def doctor(self, _args: argparse.Namespace) -> object:
        """Check everything an answer needs."""
        return inspection.checkup(self.shell, self.settings)

    def restart(self, _args: argparse.Namespace) -> None:
        """Stop the runtime; the next use starts it again."""
        self.manager.restart()
        print("The Copilot runtime is stopped; the next prompt starts it again. Sessions are kept.")
