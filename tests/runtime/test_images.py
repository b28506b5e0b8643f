"""Images beside a prompt: what reaches the model, and what is left of them in the history."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import PIL.Image
import pytest

from copilot_nb.conversation.parts import TurnState
from copilot_nb.errors import InputError
from copilot_nb.named_sessions.formats.import_json import import_session
from copilot_nb.named_sessions.manager import Manager
from copilot_nb.named_sessions.session import state_of
from copilot_nb.testing import ScriptedModel

from .conftest import script

RED = PIL.Image.new("RGB", (8, 6), "red")


def seen(model: ScriptedModel) -> list[list[bytes]]:
    """What images the model was shown last, message by message of the user's."""
    asked = [message for message in model.requests[-1].messages if message.role == "user"]
    return [[base64.b64decode(url.partition(",")[2]) for url in message.images] for message in asked]


def test_the_model_sees_the_image_as_long_as_the_session_lasts(own_manager: Callable[..., Manager]) -> None:
    manager = own_manager()
    session = manager.session("a")
    model = script(manager, ScriptedModel())
    turn = session.ask("What is it?", attach={"red": RED})
    (image,) = turn.images
    assert seen(model) == [[image.data]]
    session.ask("And now?")
    assert seen(model) == [[image.data], []]
    assert [turn.images for turn in session.history] == [(image,), ()]
    assert session.fork("b").history[0].images == (image,)
    manager.close()

    later = own_manager(model)
    later.session("a").ask("And later?")
    assert seen(model) == [[image.data], [], []]


def test_an_image_goes_with_its_turn(manager: Manager) -> None:
    model = script(manager, ScriptedModel())
    session = manager.session("images-rewound")
    session.ask("one")
    session.ask("two", attach=RED)
    assert session.rewind() == 1
    session.ask("other")
    assert seen(model) == [[], []]
    session.rewind()
    session.ask("two again", attach=RED)
    assert session.rewind() == 1
    assert session.undo_rewind() == 1
    session.ask("three")
    assert [len(images) for images in seen(model)] == [0, 1, 0]


def test_an_image_may_say_it_all(manager: Manager) -> None:
    session = manager.session("images-only")
    turn = session.ask("", attach=RED)
    assert turn.state is TurnState.DONE
    assert [(turn.prompt, len(turn.images)) for turn in session.history] == [("", 1)]
    with pytest.raises(InputError, match="the prompt is empty"):
        session.ask("")


def test_files_and_images_go_together(manager: Manager, tmp_path: Path) -> None:
    model = script(manager, ScriptedModel())
    (tmp_path / "a.txt").write_text("<b> & c")
    RED.save(tmp_path / "red.png")
    session = manager.session("images-files")
    turn = session.ask("Compare.", attach=[tmp_path / "a.txt", str(tmp_path / "red.png")])
    assert model.requests[-1].messages[-1].bare_text.startswith("File `a.txt`:\n\n```\n<b> & c\n```\n\nCompare.")
    assert [image.name for image in turn.images] == ["red.png"]
    assert "with red.png" in session.history._repr_html_()
    assert "with red" in str(session.history)


def test_nothing_is_sent_where_something_cannot_be(manager: Manager) -> None:
    model = script(manager, ScriptedModel())
    session = manager.session("images-none")
    with pytest.raises(InputError, match="neither text nor an image"):
        session.send("x", attach=[RED, b"\xff\xfe"])
    assert not model.requests
    assert not state_of(session).pending


class Blind(ScriptedModel):
    """A model that reads text only."""

    @property
    def sees_images(self) -> bool:
        return False


def test_a_switch_to_a_model_that_does_not_see_is_noted(manager: Manager) -> None:
    script(manager, Blind(), "blind")
    session = manager.session("images-switched")
    session.ask("What is it?", attach=RED)
    turn = session.ask("And now?", provider="blind")
    assert turn.notes[-1] == "it does not see the images of earlier turns"
    session = manager.session("images-not-switched")
    session.ask("What is it?")
    assert len(session.ask("And now?", provider="blind").notes) == 1


def test_a_model_that_does_not_see_is_not_asked(manager: Manager) -> None:
    model = script(manager, Blind())
    session = manager.session("images-blind")
    assert session.ask("In words.").state is TurnState.DONE
    with pytest.raises(InputError, match=r"scripted \(scripted\) does not see images → ask another provider"):
        session.ask("What is it?", attach=RED)
    assert len(model.requests) == 1
    assert session.ask("Then in words.").state is TurnState.DONE


def test_an_export_names_the_images_and_an_import_says_they_are_missing(manager: Manager, tmp_path: Path) -> None:
    session = manager.session("images-exported")
    session.ask("", attach={"red.png": RED})
    for suffix in (".md", ".html", ".ipynb"):
        assert "red.png" in session.export(tmp_path / f"it{suffix}").read_text()
    file = session.export(tmp_path / "it.json")
    assert json.loads(file.read_text())["turns"][0]["images"] == [
        {"name": "red.png", "mime_type": "image/png", "size_bytes": session.history[0].images[0].size_bytes}
    ]
    again = import_session(manager, file, "images-imported")
    assert state_of(again).resume_note == "imported 1 turn from it.json, without the original times, 1 image"
    assert [turn.prompt for turn in again.history] == ["with red.png"]
