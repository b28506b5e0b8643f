"""One prompt from a cell, sent to one session or to several, shown and delivered."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from copilot_nb.errors import InputError, TurnFailed
from copilot_nb.experiments.targets import one_each
from copilot_nb.frontend import is_headless
from copilot_nb.named_sessions.names import quoted
from copilot_nb.named_sessions.session import own_session, state_of
from copilot_nb.named_sessions.waiting import wait
from copilot_nb.notebook.arguments import listed, opening_of, options_of
from copilot_nb.notebook.background_asking import AskingOutput
from copilot_nb.notebook.code import code_of, insert_code, proposed_code
from copilot_nb.notebook.display import output_for
from copilot_nb.notebook.streaming import Streaming
from copilot_nb.notebook.workspace import assign, attachable, check_variable, option_value
from copilot_nb.structured import schema_of

if TYPE_CHECKING:
    from copilot_nb.named_sessions.options import SessionOptions
    from copilot_nb.named_sessions.send_plan import Sent
    from copilot_nb.named_sessions.turn import Turn
    from copilot_nb.notebook.context import MagicContext
    from copilot_nb.structured import Schema


def targets(args: argparse.Namespace, names: Sequence[str]) -> dict[str, SessionOptions]:
    """Return the sessions that a cell addresses, or one for each of ``--models`` or ``--providers``, and their options.

    Raises
    ------
    InputError
        If the options contradict each other.
    """
    options = options_of(args)
    models, providers = listed(args.models), listed(args.providers)
    if not models and not providers:
        return dict.fromkeys(names, options)
    if len(names) > 1:
        raise InputError(
            "--models and --providers make the sessions of one name", "for example: %%copilot test --models a,b"
        )
    each = one_each(names[0], models=models, providers=providers, model=options.model, provider=options.provider)
    return {one.name: dataclasses.replace(options, model=one.model, provider=one.provider) for one in each}


def answer(context: MagicContext, names: Sequence[str], prompt: str, args: argparse.Namespace) -> None:
    """Send `prompt`, show the answers as they stream, and deliver them as `args` says.

    Raises
    ------
    CopilotNBError
        If the prompt cannot be sent, or a turn failed or was interrupted.
    """
    for sent in ask(context, names, prompt, args):
        _deliver(context, sent.turn, args, is_rerun=sent.is_rerun)


def ask(context: MagicContext, names: Sequence[str], prompt: str, args: argparse.Namespace) -> list[Sent]:
    """Send `prompt` and show the answers as they stream.

    Returns
    -------
    list of Sent
        The turns, which have ended; none in the background.

    Raises
    ------
    CopilotNBError
        If the prompt cannot be sent, or a turn failed or was interrupted.
    """
    check_variable(args.out)
    schema = _schema(context, args)
    plan = context.manager.plan(
        prompt,
        targets(args, names),
        opening_of(args),
        may_create=len(names) == 1 or args.create or args.new,
        attach={name: attachable(context.shell, name) for name in args.attach},
        schema=schema,
    )
    sent = plan.send(timeout_s=args.timeout_s, now=args.now)
    turns = [each.turn for each in sent]
    context.last_session = own_session(turns[-1].session)
    if args.out:
        assign(context.shell, args.out, turns[0] if len(turns) == 1 else turns)
    is_background = args.background and not is_headless(context.shell)
    plain = args.format == "text" or (args.format == "json" and schema is None)
    output = output_for(context.shell, turns, quiet=args.quiet, plain=plain, background=is_background)
    if is_background:
        if any(_may_ask(context, turn, args) for turn in turns):
            output = AskingOutput(output, context.shell, context.manager, context.open_asker)
        context.background.add(output)
        return []
    with Streaming(output) as streaming:
        wait(turns, on_update=streaming.show)
    return sent


def _may_ask(context: MagicContext, turn: Turn, args: argparse.Namespace) -> bool:
    """Whether a turn may ask for permission: the models of most sessions can only look."""
    state, toolbox = state_of(own_session(turn.session)), context.manager.toolbox
    level = args.tools or state.requested.tools or state.options.tools or context.settings.tools
    return level in ("kernel", "all") or any(spec.kind == "tool" for spec in toolbox.of("read", turn.session.name))


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
    if args.format != "code" and not proposed_code(turn.record):
        return
    if not is_rerun:
        insert_code(context.shell, turn.session.name, turn.record)
        return
    code_of(turn.session.name, turn.record)
    if not args.quiet:
        line = f"%copilot show {quoted(turn.session.name)} --code"
        print(f"This cell has been run before, so no second cell is added below. To add one: {line}")


def _check_json(turn: Turn) -> None:
    try:
        turn.json()
    except ValueError as error:
        hint = "ask again, or say what it must look like: --schema NAME"
        raise TurnFailed(f"the answer of {turn.session.name} holds no JSON", hint) from error
