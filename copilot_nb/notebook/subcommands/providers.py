"""The subcommand `provider`: list the user's own providers, add one for this kernel, remove it.

A key must not be typed into a line: it would stay in the notebook and in the history. `arguments.Parser` refuses it.
"""

from __future__ import annotations

import argparse
import getpass
import warnings
from typing import TYPE_CHECKING

from copilot_nb.errors import CopilotNBError, InputError
from copilot_nb.frontend import is_headless
from copilot_nb.notebook.arguments import Option
from copilot_nb.notebook.subcommands.base import Argument, Subcommand
from copilot_nb.providers.keys import KeyringKey, NoKey, Secret, secret
from copilot_nb.providers.spec import APIS, CUSTOM, WIRES, Spec, is_custom_named, spec_of
from copilot_nb.render.table import Table

if TYPE_CHECKING:
    from copilot_nb.notebook.context import MagicContext
    from copilot_nb.providers.byok import Byok

SHOWN_MODELS = 6
ACTIONS = ("ls", "add", "rm")
_ALWAYS = {"github": "a login to Copilot", "local": "none needed"}
"""The providers that always exist, and what each needs."""


def provider(context: MagicContext, args: argparse.Namespace) -> Table | None:
    """List, add or remove the user's own providers."""
    if args.action not in ("", *ACTIONS):
        raise InputError("unknown action of %copilot provider", f"one of: {', '.join(ACTIONS)}")
    if args.action in ("", "ls"):
        return listing(context)
    if len(args.names) != 1:  # a word too many is not repeated: it may be a key
        raise InputError("name one provider", f"%copilot provider {args.action} NAME [options]")
    (name,) = args.names
    if args.action == "rm":
        context.manager.providers.remove_own(name)
        print(f"Removed {name} from this kernel.")
    else:
        add(context, name, args)
    return None


def listing(context: MagicContext) -> Table:
    """Return all providers, whether or not they can answer."""
    providers = context.manager.providers
    rows = [(name, "", "", "", needs, _readiness(context, name)) for name, needs in _ALWAYS.items()]
    if not is_custom_named():
        rows.append((CUSTOM, "", "", "", "", "COPILOT_PROVIDER_BASE_URL is not set"))
    for name in providers.own_names:
        try:
            one = providers.own(name)
        except CopilotNBError as error:
            rows.append((name, "", "", "", "", str(error)))
            continue
        spec = one.spec
        rows.append((name, spec.api, spec.base_url, spec.model or "–", spec.key.where, _state(one)))
    return Table(("provider", "type", "address", "model", "key", "state"), tuple(rows))


def _readiness(context: MagicContext, name: str) -> str:
    """Say whether a provider that is always there can answer."""
    try:
        context.manager.loop.blocking(context.manager.selector.resolve(name, ""))
    except CopilotNBError as error:
        return error.message
    return "ready"


def _state(one: Byok) -> str:
    """Say whether it could be asked, without asking it."""
    try:
        one.check()
    except CopilotNBError as error:
        return error.message.removeprefix(f"{one.name}: ")
    if one.spec.is_silent:
        return f"nothing listens at {one.spec.address.netloc}"
    return "; ".join(("ready", *one.spec.warnings))


def add(context: MagicContext, name: str, args: argparse.Namespace) -> None:
    """Add a provider for this kernel, and say what it has."""
    chosen = [args.api_key_env is not None, args.ask_key, args.keyring]
    if sum(chosen) > 1:
        raise InputError("one key is enough", "use --api-key-env, --ask-key or --keyring")
    fields = {
        "type": args.api or (name if name in APIS else "openai-compatible"),
        "base_url": args.base_url,
        "model": args.model,
        "api_key_env": args.api_key_env,
        "wire_api": args.wire_api,
        "api_version": args.api_version,
        "keyring": args.keyring,
    }
    origin = "%copilot provider add"
    spec = spec_of(name, fields, origin=origin)
    if args.ask_key:
        spec = spec_of(name, fields, origin=origin, typed=_asked(context, name))
    elif isinstance(spec.key, KeyringKey):
        _keep(context, spec.key)
    one = context.manager.providers.add_own(spec)
    print(f"Added {spec.name} ({spec.api}, {spec.base_url}; key: {spec.key.where}). {_what_it_has(context, one)}")
    for warning in spec.warnings:
        print(f"Note: {warning}.")
    print(f"For this kernel; for good: c.CopilotNB.providers[{spec.name!r}] = {_as_setting(spec, args)}")


def _as_setting(spec: Spec, args: argparse.Namespace) -> dict[str, object]:
    fields = {"type": spec.api, "base_url": spec.base_url, "model": spec.model, "api_key_env": args.api_key_env}
    more = {"keyring": args.keyring, "wire_api": args.wire_api, "api_version": args.api_version}
    return {name: value for name, value in (fields | more).items() if value}


def _keep(context: MagicContext, key: KeyringKey) -> None:
    """Ask for the key, unless the keyring has it."""
    if not key.is_kept():
        key.keep(_asked(context, key.name))


def _asked(context: MagicContext, name: str) -> Secret:
    nobody = InputError("nobody can be asked for the key", "name its variable: --api-key-env VAR")
    if is_headless(context.shell):
        raise nobody
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)  # it would show what is typed
            return secret(getpass.getpass(f"Key of {name}: "), "typed in")
    except (EOFError, getpass.GetPassWarning):
        raise nobody from None


def _what_it_has(context: MagicContext, one: Byok) -> str:
    """Say which models the provider has; if asking would send a key, leave that to the user."""
    if not isinstance(one.spec.key, NoKey):
        return f"Its models: %copilot models -p {one.name}"
    try:
        models = [model.model_id for model in context.manager.loop.blocking(one.list_models())]
    except CopilotNBError as error:
        return f"It does not answer yet: {error}"
    if not models:
        return "It does not list its models; name one with --model."
    more = f" and {len(models) - SHOWN_MODELS} more" if len(models) > SHOWN_MODELS else ""
    return f"It has {', '.join(models[:SHOWN_MODELS])}{more}."


OPTIONS = (
    Option(
        ("--type",),
        f"its API: {', '.join(APIS)} (default: its name, if it is one of these; else the last)",
        "TYPE",
        (("choices", APIS), ("dest", "api")),
    ),
    Option(("--base-url",), "its address, such as https://HOST/v1", "URL"),
    Option(("-m", "--model"), "the model that answers when none is named", "MODEL"),
    Option(("--api-key-env",), "the environment variable that holds its key", "VAR"),
    Option(("--ask-key",), "ask for its key now; this kernel keeps it until it ends"),
    Option(
        ("--keyring",), "keep its key in the system keyring; you are asked once for each address (pip install keyring)"
    ),
    Option(("--wire-api",), f"which of OpenAI's APIs: {', '.join(WIRES)}", "WIRE", (("choices", WIRES),)),
    Option(("--api-version",), "Azure's API version", "VERSION"),
)
COMMANDS = (
    Subcommand(
        "provider",
        "List your own providers, add one for this kernel, or remove one.",
        provider,
        (
            Argument("action", f"{', '.join(ACTIONS[:-1])} or {ACTIONS[-1]}", "?"),
            Argument("names", "the provider", "*", kind="provider"),
        ),
        OPTIONS,
    ),
)
