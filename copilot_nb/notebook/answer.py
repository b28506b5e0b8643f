"""One prompt from a cell, sent to one session or to several, shown and delivered."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from copilot_nb.errors import InputError, TurnFailed
from copilot_nb.experiments.targets import Target, one_each
from copilot_nb.frontend import is_headless
from copilot_nb.named_sessions.attach import attached
from copilot_nb.named_sessions.names import quoted
from copilot_nb.named_sessions.session import state_of
from copilot_nb.named_sessions.waiting import wait
from copilot_nb.notebook.arguments import listed, opening_of, options_of
from copilot_nb.notebook.code import code_of, insert_code
from copilot_nb.notebook.display import output_for
from copilot_nb.notebook.workspace import assign, attachable, check_variable, option_value
from copilot_nb.structured import schema_of

if TYPE_CHECKING:
    from copilot_nb.named_sessions.manager import Manager
    from copilot_nb.named_sessions.session import Session
    from copilot_nb.named_sessions.turn import Turn
    from copilot_nb.notebook.context import MagicContext
    from copilot_nb.structured import Schema


def targets(args: argparse.Namespace, names: Sequence[str]) -> list[Target]:
    """Return the sessions that a cell addresses, or one for each of ``--models`` or ``--providers``.

    Raises
    ------
    InputError
        If the options contradict each other.
    """
    model, provider = args.model or "", args.provider or ""
    models, providers = listed(args.models), listed(args.providers)
    if not models and not providers:
        return [Target(name, model, provider) for name in dict.fromkeys(names)]
    if len(names) > 1:
        raise InputError(
            "--models and --providers make the sessions of one name", "for example: %%copilot test --models a,b"
        )
    if args.session_id:
        raise InputError("--id names one session, --models and --providers make several", "leave --id out")
    return one_each(names[0], models=models, providers=providers, model=model, provider=provider)


def check_new(manager: Manager, names: Sequence[str], args: argparse.Namespace) -> None:
    """Check that a line with several names does not create sessions by mistake.

    Words of a prompt look like names: a prompt written on the first line would go to a session for each of its words.

    Raises
    ------
    InputError
        If some are new, and neither ``--create`` nor ``--new`` says that they are to be created.
    """
    is_meant = len(names) == 1 or args.create or args.new
    if is_meant or not (new := manager.unknown(names)):
        return
    are_new = f"{', '.join(map(repr, new))} {'is' if len(new) == 1 else 'are'} new"
    line = f"%%copilot {' '.join(map(quoted, names))} --create"
    raise InputError(
        f"a cell with several names creates no session, and {are_new}",
        f"a prompt goes below this line; to create: {line}",
    )


def answer(context: MagicContext, names: Sequence[str], prompt: str, args: argparse.Namespace) -> None:
    """Send `prompt`, show the answers as they stream, and deliver them as `args` says.

    Raises
    ------
    CopilotNBError
        If the prompt cannot be sent, or a turn failed or was interrupted.
    """
    for turn, is_rerun in ask(context, names, prompt, args):
        _deliver(context, turn, args, is_rerun=is_rerun)


def ask(context: MagicContext, names: Sequence[str], prompt: str, args: argparse.Namespace) -> list[tuple[Turn, bool]]:
    """Send `prompt` and show the answers as they stream.

    Returns
    -------
    list of tuple of (Turn, bool)
        The turns, and whether the cell has asked the session before; none in the background.

    Raises
    ------
    CopilotNBError
        If the prompt cannot be sent, or a turn failed or was interrupted.
    """
    check_variable(args.out)
    things = {name: attachable(context.shell, name) for name in args.attach}
    asked, images = attached(prompt, things, context.manager.hide_secrets)
    schema = _schema(context, args)
    context.manager.check_prompt(asked, images)
    if args.session_id and len(names) > 1:
        raise InputError("--id names one session, not several")
    check_new(context.manager, names, args)
    sessions = [_session(context.manager, target, args) for target in targets(args, names)]
    cells = [state_of(session).cells.key_of(prompt, context.manager.notebook) for session in sessions]
    reruns = [state_of(session).cells.has(cell) for session, cell in zip(sessions, cells, strict=True)]
    turns = [
        session.send(asked, timeout_s=args.timeout_s, cell=cell, now=args.now, attach=images, schema=schema)
        for session, cell in zip(sessions, cells, strict=True)
    ]
    context.last_session = sessions[-1]
    if args.out:
        assign(context.shell, args.out, turns[0] if len(turns) == 1 else turns)
    is_background = args.background and not is_headless(context.shell)
    plain = args.format == "text" or (args.format == "json" and schema is None)
    output = output_for(context.shell, turns, quiet=args.quiet, plain=plain, background=is_background)
    if is_background:
        context.background.add(output)
        return []
    try:
        wait(turns, on_update=lambda _turn: output.show())
    finally:
        output.finish()
    return list(zip(turns, reruns, strict=True))


def _session(manager: Manager, target: Target, args: argparse.Namespace) -> Session:
    own = {"model": target.model, "provider": target.provider}
    return manager.open(target.name, dataclasses.replace(options_of(args), **own), opening_of(args))


def _schema(context: MagicContext, args: argparse.Namespace) -> Schema | None:
    """Return the schema that the answers must conform to, if the line names one.

    Raises
    ------
    InputError
        If it is not a schema, or the answer is to be shown as code.
    """
    if not args.schema:
        return None
    if args.format == "code":
        raise InputError("--schema asks for JSON, -f code for code", "leave one of them out")
    return schema_of(option_value(context.shell, "--schema", args.schema))


def _deliver(context: MagicContext, turn: Turn, args: argparse.Namespace, *, is_rerun: bool) -> None:
    if args.format == "json" and turn.schema is None:
        _check_json(turn)
    elif args.format == "code" and is_rerun:
        code_of(turn.session.name, turn.text)
        if not args.quiet:
            line = f"%copilot show {quoted(turn.session.name)} --code"
            print(f"This cell has been run before, so no second cell is added below. To add one: {line}")
    elif args.format == "code":
        insert_code(context.shell, turn.session.name, turn.text)


def _check_json(turn: Turn) -> None:
    try:
        turn.json()
    except ValueError as error:
        hint = "ask again, or say what it must look like: --schema NAME"
        raise TurnFailed(f"the answer of {turn.session.name} holds no JSON", hint) from error
