"""Selects the engine of a comparison, and describes to its workers what they need."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, ThreadPoolExecutor
from importlib.metadata import version
from typing import TYPE_CHECKING

from copilot_nb.errors import InputError
from copilot_nb.experiments.engines.base import CellEngine
from copilot_nb.experiments.engines.in_kernel import InKernelEngine
from copilot_nb.providers.byok import Byok
from copilot_nb.providers.in_kernel import InKernel
from copilot_nb.providers.keys import EnvironmentKey, NoKey
from copilot_nb.providers.spec import Spec, fields_of
from copilot_nb.settings import CopilotNB
from copilot_nb.structured import schema_of

EngineMaker = Callable[[str, object], CellEngine]
"""Makes an engine for the name of a run and the schema of its answers, ``None``: no schema."""

if TYPE_CHECKING:
    from copilot_nb.experiments.engines.worker import Setup
    from copilot_nb.experiments.grid import Variant
    from copilot_nb.experiments.options import CompareOptions
    from copilot_nb.named_sessions.manager import Manager


def engine_maker(manager: Manager, options: CompareOptions, variants: Iterable[Variant]) -> EngineMaker:
    """Return what makes the engine that `executor` and `client` of a comparison's options select.

    Raises
    ------
    InputError
        If a key or a model of the variants is in this kernel only, or the executor, the client or the schema cannot be
        used.
    """
    executor, client, schema = options.executor, options.client, options.schema
    if executor is None and client is None:
        return lambda _owner, wanted: InKernelEngine(manager, None if wanted is None else schema_of(wanted))
    from copilot_nb.experiments.engines.executor import check_schema, in_processes, in_threads

    if isinstance(executor, ThreadPoolExecutor):
        return functools.partial(in_threads, manager, executor)
    setup = setup_of(manager, variants)
    if isinstance(executor, Executor):
        check_schema(executor, schema)
        return functools.partial(in_processes, executor, setup)
    from copilot_nb.experiments.engines.dask_cluster import checked, on_cluster

    return functools.partial(on_cluster, checked(client), setup)


def setup_of(manager: Manager, variants: Iterable[Variant]) -> Setup:
    """Return what another process needs to answer for these variants; no key is in it.

    Raises
    ------
    InputError
        If a key or a model is in this kernel only.
    """
    from copilot_nb.experiments.engines.worker import Setup

    specs = [_spec(manager, name) for name in dict.fromkeys(each.options.provider for each in variants)]
    own = [spec for spec in specs if spec is not None]
    keys = [(spec.name, spec.key.variable) for spec in own if isinstance(spec.key, EnvironmentKey)]
    settings, default = manager.settings, CopilotNB()
    names = settings.trait_names(config=True)
    changed = {name: value for name in names if (value := getattr(settings, name)) != getattr(default, name)}
    told = {**changed, "providers": {spec.name: fields_of(spec) for spec in own}}
    return Setup(version("copilot-nb"), json.dumps(told, sort_keys=True), tuple(keys))


def _spec(manager: Manager, name: str) -> Spec | None:
    """Return the description of a provider that the user added, ``None`` for `github` and `local`."""
    provider = manager.providers[name]
    if isinstance(provider, InKernel) and name != "local":
        raise InputError(f"provider {name!r} runs in this kernel only", "leave out executor= and client=")
    if not isinstance(provider, Byok):
        return None
    if not isinstance(provider.spec.key, EnvironmentKey | NoKey):
        raise InputError(
            f"the key of {name} is {provider.spec.key.where}, and keys are not sent to other processes",
            f"set a variable where the workers are started, and name it here: %copilot provider add {name} --type "
            f"{provider.spec.api} --api-key-env VARIABLE",
        )
    return provider.spec
