"""Subcommands about the Copilot account and its models: login, logout, whoami, models."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from copilot_nb.errors import CopilotNBError, InputError, ProviderError
from copilot_nb.frontend import agrees, is_headless
from copilot_nb.named_sessions.models import list_models
from copilot_nb.notebook.arguments import Option
from copilot_nb.notebook.signin import SignInOutput
from copilot_nb.notebook.subcommands.base import Subcommand
from copilot_nb.providers.github import OFFLINE, ONLINE_HINT
from copilot_nb.providers.registry import WAYS_IN
from copilot_nb.render.table import Card, Table
from copilot_nb.runtime.home import require_home
from copilot_nb.runtime.login import GITHUB, log_in, login_program, token_variable

if TYPE_CHECKING:
    from copilot_nb.notebook.context import MagicContext
    from copilot_nb.runtime.account import Login, Quota

WAYS_TO_LOG_IN = (
    ("with a browser, here or elsewhere", "%copilot login"),
    ("with a token", "set COPILOT_GITHUB_TOKEN, GH_TOKEN or GITHUB_TOKEN before the kernel starts"),
    ("without Copilot", ", or: ".join(line for _, line in WAYS_IN[1:])),
)


def login(context: MagicContext, args: argparse.Namespace) -> None:
    """Log in to Copilot by a code that is entered in any browser."""
    _check_online(context)
    if variable := token_variable():
        print(f"{variable} is set, and Copilot uses the login in it; to log in differently, unset it first.")
        return
    if is_headless(context.shell) and not args.plaintext:
        raise InputError(
            "nobody can be asked where to keep the login",
            "add --plaintext to keep it in the runtime's file, or set GH_TOKEN",
        )
    host = args.host if "://" in args.host else f"https://{args.host}"
    program, home = login_program(context.settings.runtime_path), require_home(context.settings.home)
    before = context.manager.loop.blocking(_current(context))
    if before is not None:
        _check_idle(context)
    output = SignInOutput(context.shell)
    output.begin()
    try:
        user = log_in(program, home, host, output.wait, lambda: args.plaintext or _may_keep(home))
    except KeyboardInterrupt:
        output.finish("Not logged in.")
        raise ProviderError("the login was cancelled", "%copilot login") from None
    except CopilotNBError:
        output.finish("Not logged in.")
        raise
    _renew(context, before)
    output.finish(f"Logged in to Copilot as {user} ({host.partition('://')[2]}).")


def _may_keep(home: Path) -> bool:
    """Ask whether the runtime may keep the login in its file."""
    return agrees(f"This system has no keychain. Keep the login in {home}/config.json, readable by you only?")


def _renew(context: MagicContext, before: Login | None) -> None:
    """Have the runtime look for the login again; it does so by itself, except when one login replaces another."""
    context.manager.account_changed()
    if before is not None:
        context.manager.restart()


def logout(context: MagicContext, _args: argparse.Namespace) -> None:
    """Log out of Copilot."""
    _check_online(context)
    current = context.manager.loop.blocking(_current(context))
    if current is None:
        print("Nobody is logged in to Copilot.")
        return
    _check_idle(context)
    needs_restart = context.manager.loop.blocking(_log_out(context, current))
    context.manager.account_changed()
    if needs_restart:
        context.manager.restart()
    print(f"Logged out {current.account}.")


def whoami(context: MagicContext, _args: argparse.Namespace) -> Card | None:
    """Show who is logged in, where the login comes from, and what is left of the quota."""
    if context.settings.offline:
        print(f"Nobody needs to be logged in: {OFFLINE}. To change that: {ONLINE_HINT}.")
        return None
    current = context.manager.loop.blocking(_current(context))
    if current is None:
        problems = [("the runtime says", each) for each in context.manager.loop.blocking(_problems(context))]
        return Card("Nobody is logged in to Copilot", (*WAYS_TO_LOG_IN, *problems))
    rows = [("account", current.account), ("kept in", current.where)]
    rows += [(f"quota: {each.name}", _quota(each)) for each in context.manager.loop.blocking(_quotas(context))]
    return Card("Logged in to Copilot", tuple(rows))


def models(context: MagicContext, args: argparse.Namespace) -> Table | None:
    """List the models that can answer."""
    found = list_models(context.manager, args.provider, refresh=args.refresh)
    if not args.json:
        return found.table()
    print(json.dumps(found.as_json(), indent=2))
    return None


def _check_online(context: MagicContext) -> None:
    if context.settings.offline:
        raise ProviderError(f"cannot log in: {OFFLINE}", ONLINE_HINT)


def _check_idle(context: MagicContext) -> None:
    """Check that no turn is under way, because the runtime has to restart to forget a login."""
    if any(session.is_busy for session in context.manager):
        raise InputError("turns are under way", "%copilot wait, or %copilot stop --all")


def _quota(quota: Quota) -> str:
    if quota.entitled < 0:
        return "unlimited"
    resets = f"; resets on {quota.resets}" if quota.resets else ""
    return f"{quota.used:,} of {quota.entitled:,} used, {quota.left_percent:g} % left{resets}"


async def _current(context: MagicContext) -> Login | None:
    return await (await context.manager.client()).account.login()


async def _problems(context: MagicContext) -> list[str]:
    return await (await context.manager.client()).account.problems()


async def _quotas(context: MagicContext) -> list[Quota]:
    return await (await context.manager.client()).account.quota()


async def _log_out(context: MagicContext, current: Login) -> bool:
    return await (await context.manager.client()).account.log_out(current)


COMMANDS = (
    Subcommand(
        "login",
        "Log in to Copilot: shows a code to be entered in any browser, and waits.",
        login,
        (),
        (
            Option(
                ("--host",),
                "a GitHub Enterprise Cloud host with data residency (https://github.com)",
                "URL",
                (("default", GITHUB),),
            ),
            Option(
                ("--plaintext",),
                "if the system has no keychain: keep the login in the runtime's file, without asking",
            ),
        ),
    ),
    Subcommand("logout", "Log out of Copilot.", logout),
    Subcommand(
        "whoami", "Show who is logged in to Copilot, where the login comes from, and what is left of the quota.", whoami
    ),
    Subcommand(
        "models",
        "List the models that can answer: window, output, tools, images, efforts, price.",
        models,
        (),
        (
            Option(("-p", "--provider"), "only those of this provider", "PROVIDER", (("default", ""),)),
            Option(("--json",), "as JSON; what is unknown is null"),
            Option(("--refresh",), "ask the providers again (a list is kept for five minutes)"),
        ),
    ),
)
