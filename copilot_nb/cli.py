"""The command `copilot-nb`: installation, checks and the demo.

Everything a command needs is imported inside it, so that ``copilot-nb --help`` is
instant. A command returns its exit code; an error is one line on stderr.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from copilot_nb.console import accept_any_text, say
from copilot_nb.errors import CopilotNBError

if TYPE_CHECKING:
    from copilot_nb.runtime.doctor import Finding


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, 1 (one line says why), 2 (usage) or 130 (Ctrl+C)."""
    accept_any_text(sys.stdout)
    accept_any_text(sys.stderr)
    signal.signal(signal.SIGTERM, _terminated)
    parser = _parser()
    options = parser.parse_args(argv)
    if options.command is None:
        parser.print_help(sys.stderr)
        say("\ncopilot-nb: no command given → choose one of those above", sys.stderr)
        return 2
    commands = {"install-runtime": _install_runtime, "install-model": _install_model, "doctor": _doctor, "demo": _demo}
    try:
        return commands[options.command](options)
    except CopilotNBError as exc:
        say(f"copilot-nb: {exc}", sys.stderr)
        return 1
    except KeyboardInterrupt:
        say("copilot-nb: interrupted", sys.stderr)
        return 130


def _terminated(_number: int, _frame: object) -> NoReturn:
    raise SystemExit(128 + signal.SIGTERM)  # exit handlers end the programs that were started


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("copilot-nb", description="Set up copilot_nb, check the set-up, and try it out.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    runtime = commands.add_parser(
        "install-runtime", help="install the Copilot runtime (GitHub's software; 420 MB on disk)"
    )
    # the same names as install_runtime.METHODS; importing that here would cost more than all the rest
    runtime.add_argument(
        "--method",
        choices=["auto", "sdk", "npm"],
        default="auto",
        help="download from GitHub (sdk), by npm, or by the first that works",
    )
    commands.add_parser(
        "install-model", help="install the very small embedded model, which needs no account (200 MB on disk)"
    )
    commands.add_parser("doctor", help="show what is installed and what is missing")
    demo = commands.add_parser("demo", help="open the first notebook, answered by the embedded model")
    demo.add_argument("--headless", action="store_true", help="run the notebook here and print its answers")
    demo.add_argument("--notebook", type=Path, metavar="PATH", help="open this notebook instead")
    return parser


def _install_runtime(options: argparse.Namespace) -> int:
    from copilot_nb.runtime.install.install_runtime import install_runtime

    install_runtime(progress=say, method=options.method)
    return 0


def _install_model(_options: argparse.Namespace) -> int:
    from copilot_nb.runtime.install.install_model import install_local_model

    install_local_model(say)
    return 0


def _doctor(_options: argparse.Namespace) -> int:
    from copilot_nb.runtime.doctor import diagnose
    from copilot_nb.settings import CopilotNB

    findings = diagnose(CopilotNB())
    for line in _table(findings):
        print(line)
    return 0 if all(finding.ok for finding in findings) else 1


def _table(findings: Sequence[Finding]) -> list[str]:
    """Return aligned lines: a mark, the subject, the finding, and below it what to type."""
    width = max(len(finding.what) for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f"{finding.mark:<5} {finding.what:<{width}}  {finding.detail}")
        if finding.fix:
            lines.append(f"{'':<5} {'':<{width}}  → {finding.fix}")
    return lines


def _demo(options: argparse.Namespace) -> int:
    from copilot_nb import demo

    return demo.run(options.notebook, headless=options.headless)


if __name__ == "__main__":
    sys.exit(main())
