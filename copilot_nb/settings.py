"""The settings of `copilot_nb`: one traitlets `Configurable`, reachable by `%config CopilotNB`.

Every trait can also be set in `ipython_config.py` (``c.CopilotNB.model = "gpt-5"``). For a turn, the flag in the cell
comes first, then what the session has, then these settings, then the default.
Durations are in seconds (``_s``) or days (``_days``), sizes in bytes (``_bytes``), tokens (``_tokens``) or counts.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from traitlets import Bool, Dict, Enum, Float, Int, List, TraitError, TraitType, Unicode, default, validate
from traitlets.config import Configurable

DEFAULT_SYSTEM_MESSAGE = "You are a helpful assistant in a notebook. Answer in Markdown."

PROVIDER_FIELDS = (
    "type",
    "base_url",
    "model",
    "api_key_env",
    "bearer_token_env",
    "keyring",
    "wire_api",
    "api_version",
    "max_prompt_tokens",
)
"""The fields of a provider in the setting `providers`; a key is not among them."""


RULE_ACTIONS = ("allow", "deny", "ask")
RULE_PATTERNS = ("kind", "tool", "path", "command")
"""The fields of a rule in the setting `permissions`, apart from its action."""


def _fault_of_rule(rule: dict[str, Any]) -> str:
    """Return what is wrong with a rule of the setting `permissions`; ``""``: nothing."""
    if rule.get("action") not in RULE_ACTIONS:
        return f"needs an 'action', one of: {', '.join(RULE_ACTIONS)}"
    if unknown := [name for name in rule if name not in ("action", *RULE_PATTERNS)]:
        return f"has the unknown field {unknown[0]!r}; known are: action, {', '.join(RULE_PATTERNS)}"
    if wrong := [name for name in RULE_PATTERNS if not isinstance(rule.get(name, ""), str)]:
        return f"has a {wrong[0]!r} that is no text"
    if rule.get("path") and rule.get("command"):
        return "has a 'path' and a 'command'; a call has one of them"
    return ""


class _Process:
    """The settings of this process."""

    settings: CopilotNB | None = None


def process_settings() -> CopilotNB:
    """Return the settings of the shell that loaded the extension, else the defaults."""
    return _Process.settings or CopilotNB()


def adopt(settings: CopilotNB | None) -> None:
    """Make `settings` those of this process; ``None``: the defaults."""
    _Process.settings = settings


class CopilotNB(Configurable):
    """Settings for the sessions of this kernel.

    Examples
    --------
    >>> %config CopilotNB.model = "gpt-5"
    >>> settings = CopilotNB(model="gpt-5", timeout_s=60)
    """

    home_in_use: Callable[[], str] = staticmethod(str)
    """Returns the home in which this process has stored sessions, which cannot be changed then; ``""``: none stored."""

    equip: Callable[[Any], object] = staticmethod(lambda _manager: None)
    """Called with a new manager of sessions that uses these settings: the notebook gives it its tools."""

    provider = Unicode(
        help="Where answers come from: 'github', 'local', one you added, or '' to choose (a Copilot login, "
        "else COPILOT_PROVIDER_BASE_URL, else the embedded model). Default: the environment variable "
        "COPILOT_NB_PROVIDER, else ''.",
    ).tag(config=True)
    model = Unicode(
        help="Model of new sessions, as its provider names it; '' is the provider's default. "
        "Default: the environment variable COPILOT_NB_MODEL, else ''.",
    ).tag(config=True)
    providers = Dict(
        help="Your own providers, by name; each has a 'type' (openai, azure, anthropic, ollama, openai-compatible) "
        "and, as needed, 'base_url', 'model', 'api_key_env' (the variable that holds the key) or 'keyring': True, "
        "'bearer_token_env', 'wire_api' (completions, responses), 'api_version' (Azure's), 'max_prompt_tokens' "
        "(tokens). Never the key itself.",
    ).tag(config=True)
    aliases = Dict(
        value_trait=Unicode(),
        key_trait=Unicode(),
        help="Short names of models, wherever a model is named: {'fast': 'openai/gpt-5-mini'} or, without a provider, "
        "{'fast': 'gpt-5-mini'}.",
    ).tag(config=True)
    system = Unicode(
        DEFAULT_SYSTEM_MESSAGE,
        help="System message of new sessions.",
    ).tag(config=True)
    user_template = Unicode(
        "{user}-{name}",
        help="Stored name of cp.session(NAME, user=USER), made of {user} and {name}.",
    ).tag(config=True)
    home = Unicode(
        help="Folder in which the Copilot runtime keeps its sessions. Default: COPILOT_HOME, else ~/.copilot.",
    ).tag(config=True)
    runtime_path = Unicode(
        help="Path of the Copilot runtime's executable; '' searches for it (see `%copilot doctor`).",
    ).tag(config=True)
    offline = Bool(
        help="Start the runtime in its offline mode: no request leaves this machine, except to "
        "COPILOT_PROVIDER_BASE_URL. Default: whether COPILOT_OFFLINE is 'true' or '1'.",
    ).tag(config=True)
    warm_start = Bool(
        True,
        help="Start the runtime in the background as soon as the extension is loaded.",
    ).tag(config=True)
    timeout_s = Float(
        120.0,
        help="Stop a turn if the model sends nothing for this many seconds (idle time, not total).",
    ).tag(config=True)
    unload_after_s = Float(
        600.0,
        help="Seconds without use after which a session is taken out of the runtime's memory. A loaded session takes 3 "
        "MB; loading one again at its next use takes 40 ms.",
    ).tag(config=True)
    visitor_sessions_max_age_days = Float(
        0.0,
        min=0.0,
        help="Days without use after which the stored session of a visitor (cp.session(NAME, user=USER)) is "
        "deleted. Sessions without a user are never deleted. 0: none is.",
    ).tag(config=True)
    max_parallel_turns = Int(
        256,
        help="Turns under way at the same time, over all sessions (count); more wait their turn.",
    ).tag(config=True)
    hide_secrets = Bool(
        True,
        help="Hide secrets in what goes to a model and was not typed: attached files and tables, values of "
        "{{ expressions }}, errors. A secret is the value of a variable or a line of a .env file that is called like a "
        "key, a token or a password; a key of a provider; or what looks like the token of a well-known service.",
    ).tag(config=True)
    tools = Enum(
        ("", "none", "read", "kernel", "all"),
        "",
        help="What a model may do. 'none': nothing; 'read': look at the notebook's variables, cells and last error; "
        "'kernel': also run code, which asks each time; 'all': also use a shell, files and the servers of "
        "'mcp_servers'. '' is 'read' where the model is known to use tools, else 'none'.",
    ).tag(config=True)
    permissions = List(
        Dict(),
        help="Rules for what tools may do, the first that matches counts, but one that denies comes before all: "
        "dictionaries of 'action' (allow, deny, ask) and patterns of 'kind' (look, code, tool, shell, read, write, "
        "mcp), 'tool' (a name), 'path' (of a file) or 'command' (of the shell). Without a rule each call is asked "
        "about, but for those that only look.",
    ).tag(config=True)
    mcp_servers = Dict(
        value_trait=Dict(),
        key_trait=Unicode(),
        help="MCP servers of sessions with the tools 'all', by name: {'files': {'command': 'npx', 'args': [...]}} or "
        "{'docs': {'type': 'http', 'url': 'https://...'}}. Each call of their tools is asked about.",
    ).tag(config=True)
    answer_timeout_s = Float(
        600.0,
        help="Seconds without an answer after which a request for permission is denied.",
    ).tag(config=True)
    max_tool_calls = Int(
        50,
        min=0,
        help="Calls of tools in one turn (count), after which you are asked whether it may go on. 0: no limit.",
    ).tag(config=True)
    rerun = Enum(
        ("replace-last", "append", "rewind"),
        "replace-last",
        help="What running a %%copilot cell again does. 'replace-last': replaces its turn and all later turns from "
        "this notebook, unless something was said elsewhere since; 'rewind': replaces its turn and everything since; "
        "'append': replaces nothing.",
    ).tag(config=True)
    max_turns = Int(
        0,
        min=0,
        help="Turns a session may have (count); further prompts are not sent. 0: no limit.",
    ).tag(config=True)
    max_tokens_per_session = Int(
        0,
        min=0,
        help="Tokens, in and out, after which a session's next prompt is not sent, and a turn that calls tools is "
        "stopped. 0: no limit.",
    ).tag(config=True)
    max_rounds = Int(
        100,
        min=0,
        help="Model calls for one turn (count): one for a plain answer, another after each round of tools. Then the "
        "turn is stopped, unless you let it go on meanwhile ('max_tool_calls'). 0: no limit.",
    ).tag(config=True)
    max_prompt_bytes = Int(
        500_000,
        help="Largest prompt, in bytes of UTF-8.",
    ).tag(config=True)
    local_model_path = Unicode(
        help="GGUF file of the embedded model; '' takes the one that `copilot-nb install-model` installs. "
        "Default: the environment variable COPILOT_NB_LOCAL_MODEL, else ''.",
    ).tag(config=True)
    local_models = Dict(
        value_trait=Unicode(),
        key_trait=Unicode(),
        help="More models for the provider 'local', by the name that --model takes: the path of a GGUF file, or a "
        "Hugging Face repository as 'owner/repository:FILE' or 'hf:owner/repository/FILE' (downloaded with "
        "huggingface_hub at first use). NAME:creative is the same model with freer sampling.",
    ).tag(config=True)
    local_idle_s = Float(
        600.0,
        help="Seconds without use after which a local model is unloaded; its next use loads it again.",
    ).tag(config=True)
    local_context_tokens = Int(
        4096,
        help="Context window of the embedded model, in tokens; one processor reads a full one in half a minute.",
    ).tag(config=True)

    @default("provider")
    def _default_provider(self) -> str:
        return os.environ.get("COPILOT_NB_PROVIDER", "")

    @default("model")
    def _default_model(self) -> str:
        return os.environ.get("COPILOT_NB_MODEL", "")

    @default("home")
    def _default_home(self) -> str:
        return os.environ.get("COPILOT_HOME", "") or os.path.expanduser("~/.copilot")

    @default("offline")
    def _default_offline(self) -> bool:
        return os.environ.get("COPILOT_OFFLINE", "").lower() in ("1", "true")

    @default("local_model_path")
    def _default_local_model_path(self) -> str:
        return os.environ.get("COPILOT_NB_LOCAL_MODEL", "")

    @validate("home")
    def _stays(self, proposal: dict[str, Any]) -> object:
        if (used := self.home_in_use()) and proposal["value"] != used:
            raise TraitError(
                f"CopilotNB.home stays {used}: sessions of this kernel are stored there; restart the kernel first"
            )
        return proposal["value"]

    @validate("user_template")
    def _names_both(self, proposal: dict[str, Any]) -> object:
        template = proposal["value"]
        if "{user}" not in template or template.count("{name}") != 1:
            raise TraitError("CopilotNB.user_template must contain {user}, and {name} once")
        return template

    @validate("providers")
    def _no_key(self, proposal: dict[str, Any]) -> object:
        for name, fields in proposal["value"].items():
            # The values are not shown: one may be a key.
            if not isinstance(fields, dict):
                raise TraitError(f"CopilotNB.providers: {name!r} must be a dictionary")
            if unknown := [field for field in fields if field not in PROVIDER_FIELDS]:
                raise TraitError(
                    f"CopilotNB.providers: {name!r} has the unknown field {', '.join(map(repr, unknown))}; known are: "
                    f"{', '.join(PROVIDER_FIELDS)} (a key stays in its variable, or in the keyring)"
                )
        return proposal["value"]

    @validate("permissions")
    def _are_rules(self, proposal: dict[str, Any]) -> object:
        for number, rule in enumerate(proposal["value"], 1):
            if fault := _fault_of_rule(rule):
                raise TraitError(f"CopilotNB.permissions: rule {number} {fault}")
        return proposal["value"]

    @validate("mcp_servers")
    def _are_servers(self, proposal: dict[str, Any]) -> object:
        for name, server in proposal["value"].items():
            if not name.replace("_", "").replace("-", "").isalnum():
                raise TraitError(f"CopilotNB.mcp_servers: a name has letters, digits, - and _, not {name!r}")
            if ("command" in server) == ("url" in server):
                raise TraitError(f"CopilotNB.mcp_servers: {name!r} needs a 'command' or a 'url'")
        return proposal["value"]

    @validate(
        "timeout_s",
        "answer_timeout_s",
        "unload_after_s",
        "max_parallel_turns",
        "max_prompt_bytes",
        "local_context_tokens",
        "local_idle_s",
    )
    def _positive(self, proposal: dict[str, object]) -> object:
        value = proposal["value"]
        trait = proposal["trait"]
        assert isinstance(value, (int, float))
        assert isinstance(trait, TraitType)
        if value <= 0:
            raise TraitError(f"CopilotNB.{trait.name} must be greater than 0, not {value}")
        return value
