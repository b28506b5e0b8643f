"""What is public: its names, its errors, its settings."""

from __future__ import annotations

import doctest
import inspect
import pkgutil
import re

import pytest
from traitlets import TraitError

import copilot_nb
from copilot_nb import errors, testing
from copilot_nb.settings import CopilotNB, adopt, process_settings

ERRORS = [
    error for error in vars(errors).values() if inspect.isclass(error) and issubclass(error, errors.CopilotNBError)
]


@pytest.mark.parametrize("name", copilot_nb.__all__)
def test_public_names_are_there_and_documented(name: str) -> None:
    value = getattr(copilot_nb, name)
    if name != "__version__":
        assert callable(value)
        assert inspect.getdoc(value)
    assert name in dir(copilot_nb)


@pytest.mark.parametrize("name", ["Reply", "ScriptedModel", "install"])
def test_the_examples_of_the_scripted_model_are_right(name: str) -> None:
    value = getattr(testing, name)
    (example,) = doctest.DocTestFinder(recurse=False).find(value, name, globs=dict(vars(testing)))
    assert example.examples
    assert not doctest.DocTestRunner().run(example).failed


def test_public_names_are_sorted_and_complete() -> None:
    assert list(copilot_nb.__all__) == sorted(copilot_nb.__all__)
    assert {error.__name__ for error in ERRORS} <= set(copilot_nb.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nope'"):
        copilot_nb.nope  # noqa: B018


def test_no_public_name_is_that_of_a_room() -> None:
    """Python puts a room in the place of a name as soon as the room is imported."""
    rooms = {module.name for module in pkgutil.iter_modules(copilot_nb.__path__)}
    assert not rooms & set(copilot_nb.__all__)


@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_is_one_line_in_a_notebook(kind: type[errors.CopilotNBError]) -> None:
    error = kind("what\n  happened", "what to\n type")
    assert error._render_traceback_() == [f"{kind.__name__}: what happened → what to type"]
    assert (error.message, error.hint) == ("what happened", "what to type")
    assert str(kind("only that")) == "only that"
    assert inspect.getdoc(kind)


def test_the_tree_of_errors_is_the_one_drawn() -> None:
    drawn = re.findall(r"[├└]── (\w+)", errors.__doc__ or "")
    assert sorted(drawn) == sorted(kind.__name__ for kind in ERRORS if kind is not errors.CopilotNBError)


NUMBERS = ["timeout_s", "unload_after_s", "max_prompt_bytes", "local_context_tokens"]


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [0, -1])
def test_numbers_must_be_positive(name: str, value: int) -> None:
    settings = CopilotNB()
    with pytest.raises(TraitError, match=rf"CopilotNB.{name} must be greater than 0, not {value}"):
        setattr(settings, name, value)


def test_every_number_is_checked() -> None:
    for name, trait in CopilotNB.class_traits(config=True).items():
        if isinstance(trait.default_value, int | float) and not isinstance(trait.default_value, bool):
            with pytest.raises(TraitError):
                setattr(CopilotNB(), name, -1)


def test_every_setting_has_help() -> None:
    assert all(trait.help for trait in CopilotNB.class_traits(config=True).values())


@pytest.mark.parametrize(
    ("variable", "value", "name", "expected"),
    [
        ("COPILOT_NB_PROVIDER", "local", "provider", "local"),
        ("COPILOT_NB_MODEL", "gpt", "model", "gpt"),
        ("COPILOT_HOME", "/some/where", "home", "/some/where"),
        ("COPILOT_OFFLINE", "TRUE", "offline", True),
        ("COPILOT_OFFLINE", "1", "offline", True),
        ("COPILOT_OFFLINE", "0", "offline", False),
        ("COPILOT_NB_LOCAL_MODEL", "/m.gguf", "local_model_path", "/m.gguf"),
    ],
)
def test_defaults_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, name: str, expected: object
) -> None:
    monkeypatch.setenv(variable, value)
    assert getattr(CopilotNB(), name) == expected


def test_a_key_in_the_environment_chooses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "AZURE_OPENAI_API_KEY"):
        monkeypatch.setenv(variable, "secret")
    assert CopilotNB().provider == ""


def test_settings_of_the_process() -> None:
    mine = CopilotNB()
    before = process_settings()
    adopt(mine)
    try:
        assert process_settings() is mine
    finally:
        adopt(None)
    assert process_settings() is not mine
    assert before is not mine
