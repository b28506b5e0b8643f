"""What may go with a prompt, and what it becomes."""

from __future__ import annotations

import io
import random
from pathlib import Path

import IPython.display
import pandas as pd
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_nb.conversation.parts import Image
from copilot_nb.errors import InputError
from copilot_nb.named_sessions import attach
from copilot_nb.named_sessions.attach import attached, thumbnail, with_text


def picture(form: str = "PNG", size: tuple[int, int] = (40, 30), mode: str = "RGB", **options: object) -> bytes:
    """An image as a file of that form."""
    buffer = io.BytesIO()
    PIL.Image.new(mode, size, 1).save(buffer, form, **options)
    return buffer.getvalue()


def opened(image: Image) -> PIL.Image.Image:
    return PIL.Image.open(io.BytesIO(image.data))


class Figure:
    """What has the method of a Matplotlib figure that draws."""

    def savefig(self, file: io.BytesIO, **_options: object) -> None:
        file.write(picture())


class Displayed:
    """What shows itself in a notebook by its bytes."""

    def _repr_png_(self) -> None:
        return None

    def _repr_jpeg_(self) -> tuple[bytes, dict[str, int]]:
        return picture("JPEG"), {"width": 3}


def test_nothing_changes_nothing() -> None:
    assert attached("ask", ()) == ("ask", ())


def test_attached_text_is_before_the_prompt_in_the_order_of_the_names(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_bytes(b"\xef\xbb\xbfif a < b:\r\n    pass\r\n")
    table = pd.DataFrame({"x": [1, 2]})
    prompt, images = attached("Explain.", {"a.py": tmp_path / "a.py", "df": table})
    assert prompt == (
        "File `a.py`:\n\n```\nif a < b:\n    pass\n```\n\nTable `df`:\n\n```\n,x\n0,1\n1,2\n```\n\nExplain."
    )
    assert not images


@given(st.text())
def test_nothing_in_a_text_closes_its_fence(text: str) -> None:
    head, fence, *lines = with_text("a\n`b`", text).split("\n")[0:1] + with_text("a", text).split("\n")[2:]
    assert head == "File `a 'b'`:"
    assert lines[-2:] == [fence, ""]
    assert not any(fence in line for line in lines[:-2])


@pytest.mark.parametrize(
    ("data", "mime_type"),
    [
        pytest.param(picture(), "image/png", id="png"),
        pytest.param(picture(mode="RGBA"), "image/png", id="png with transparency"),
        pytest.param(picture(mode="P"), "image/png", id="palette"),
        pytest.param(picture(mode="I;16"), "image/png", id="16 bits"),
        pytest.param(picture("GIF"), "image/png", id="gif"),
        pytest.param(picture("WEBP"), "image/png", id="webp"),
        pytest.param(picture("TIFF", mode="CMYK"), "image/png", id="tiff"),
        pytest.param(picture("JPEG"), "image/jpeg", id="jpeg"),
        pytest.param(picture("JPEG", mode="CMYK"), "image/jpeg", id="jpeg for print"),
    ],
)
def test_an_image_is_encoded_again(data: bytes, mime_type: str) -> None:
    _, (image,) = attached("", {"it": data})
    assert (image.name, image.mime_type, image.size_bytes) == ("it", mime_type, len(image.data))
    with opened(image) as again:
        again.load()
        assert again.size == (40, 30)
        assert again.mode in ("RGB", "RGBA")


SHOWN = (
    *(Figure(), Displayed(), IPython.display.Image(picture()), PIL.Image.new("F", (40, 30))),
    *(picture(), bytearray(picture()), Path("it.png"), "it.png"),
)


@pytest.mark.parametrize("thing", SHOWN, ids=lambda thing: type(thing).__name__)
def test_what_draws_itself_is_an_image(thing: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("it.png").write_bytes(picture())
    _, (image,) = attached("", thing)
    assert opened(image).size == (40, 30)


def test_an_image_that_is_too_large_is_made_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    _, (image,) = attached("", picture(size=(5000, 1000)))
    assert opened(image).size == (attach.MAX_IMAGE_PX, 400)
    noise = PIL.Image.frombytes("RGB", (400, 300), random.Random(1).randbytes(360_000))
    monkeypatch.setattr(attach, "MAX_IMAGE_BYTES", 200_000)
    _, (image,) = attached("", noise)
    assert (image.mime_type, opened(image).size) == ("image/jpeg", (400, 300))
    monkeypatch.setattr(attach, "MAX_IMAGE_BYTES", 25_000)
    _, (image,) = attached("", noise)
    assert opened(image).size == (200, 150)


def test_a_photograph_is_turned_upright_and_holds_no_place() -> None:
    photo = PIL.Image.new("RGB", (40, 30))
    exif = photo.getexif()
    exif[0x0112], exif[0x010F] = 6, "a camera"  # turned by 90 degrees
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", exif=exif, comment=b"at home")
    _, (image,) = attached("", buffer.getvalue())
    assert opened(image).size == (30, 40)
    assert b"a camera" in buffer.getvalue()
    assert not any(said in image.data for said in (b"a camera", b"at home"))


def test_transparent_pixels_become_white_in_a_jpeg(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = PIL.Image.frombytes("RGBA", (100, 100), random.Random(1).randbytes(40_000))
    noise.paste((0, 0, 0, 0), (0, 0, 100, 50))
    monkeypatch.setattr(attach, "MAX_IMAGE_BYTES", 20_000)
    _, (image,) = attached("", noise)
    assert image.mime_type == "image/jpeg"
    assert opened(image).convert("L").getpixel((50, 20)) == 255


@pytest.mark.parametrize(("mode", "values"), [("I;16", (0, 30_000, 60_000)), ("F", (0.0, 0.5, 1.0)), ("I", (-5, 0, 5))])
def test_numbers_are_scaled_to_what_can_be_seen(mode: str, values: tuple[float, ...]) -> None:
    grey = PIL.Image.new(mode, (3, 1))
    for x, value in enumerate(values):
        grey.putpixel((x, 0), value)
    _, (image,) = attached("", grey)
    seen = opened(image).convert("L")
    assert [seen.getpixel((x, 0)) for x in range(3)] == pytest.approx([0, 127, 255], abs=1)


def test_a_small_copy_is_small() -> None:
    _, (image,) = attached("", picture(size=(2000, 1000)))
    assert opened(thumbnail(image)).size == (480, 240)
    assert opened(image).size == (2000, 1000)


@pytest.mark.parametrize(
    ("thing", "message"),
    [
        pytest.param(b"\xff\xfe no image", "image is neither text nor an image", id="bytes"),
        pytest.param(picture()[:60], "image is a damaged image", id="damaged"),
        pytest.param(picture("JPEG")[:-200], "image is a damaged image", id="cut"),
        pytest.param("nowhere.png", "cannot attach nowhere.png: No such file", id="no file"),
        pytest.param(".", "cannot attach .: it is not a file", id="folder"),
        pytest.param("/dev/zero", "cannot attach /dev/zero: it is not a file", id="device"),
        pytest.param("~nobody-at-all/x", "cannot attach ~nobody-at-all/x: No such file", id="nobody's"),
        pytest.param("a\0b", "cannot attach", id="no path"),
        pytest.param({"x": 3}, "x is of type int and cannot be attached", id="number"),
        pytest.param([object()], "the attachment is of type object", id="unnamed"),
        pytest.param(Image("lost.png", "image/png", 9), "the data of image lost.png is missing", id="lost"),
        pytest.param(pd.DataFrame({"x": range(100_000)}), "DataFrame has 1,", id="long"),
    ],
)
def test_an_attachment_that_cannot_be_used_is_refused_in_one_line(thing: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as raised:
        attached("", thing)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_picture_of_too_many_pixels_is_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 1000)
    for size in ((40, 30), (400, 300)):
        with pytest.raises(InputError, match="image has too many pixels → make it smaller"):
            attached("", picture(size=size))


def test_a_binary_file_is_an_image_or_nothing(tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(b"text with a \0 in it")
    with pytest.raises(InputError, match=r"x\.bin is neither text nor an image"):
        attached("", tmp_path / "x.bin")


class Polars:
    """What has the method of a polars frame that writes."""

    def write_csv(self) -> str:
        return "x\n1\n"


class Arrow:
    """What has the methods of an Arrow or Ibis table: one of them writes to files only."""

    def to_csv(self, path: str) -> None:
        raise AssertionError(path)

    def to_pandas(self) -> pd.DataFrame:
        return pd.DataFrame({"x": [1]})


class Exchangeable:
    """A table of a library that has nothing but the protocol for exchanging tables."""

    def __dataframe__(self, **options: bool) -> object:
        return pd.DataFrame({"x": [1]}).__dataframe__(**options)


@pytest.mark.parametrize("table", [Polars(), Arrow(), Exchangeable()])
def test_a_table_may_be_of_any_library(table: object) -> None:
    prompt, _ = attached("Explain.", {"df": table})
    assert prompt == "Table `df`:\n\n```\nx\n1\n```\n\nExplain."
