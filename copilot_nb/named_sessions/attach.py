"""What goes with a prompt: the text of files and tables is put before it, images travel beside it.

Text is part of the prompt, in a fence of its own, so the history says what was sent and a search finds it. The runtime
can carry text as an attachment too, but writes `<` and `&` in it as HTML does, which spoils code.

An image is always encoded anew, as PNG or JPEG of a bounded size. What the runtime cannot decode it notes in the
session's log in a way that it cannot read itself: the session could never be opened again. It also leaves behind what a
photograph says of its place and camera.
"""

from __future__ import annotations

import base64
import io
import stat
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from copilot_nb.conversation.parts import Image
from copilot_nb.errors import InputError

if TYPE_CHECKING:
    import PIL.Image

MAX_TEXT_CHARS = 200_000
"""The most text that one thing may add to a prompt (characters)."""
MAX_IMAGE_PX = 2000
"""The longest edge of an image that is sent; the runtime makes larger ones smaller itself (pixels)."""
MAX_IMAGE_BYTES = 3_000_000
"""The largest image that is sent; it is a little less than what the strictest provider takes (bytes)."""
THUMBNAIL_PX = 480
JPEG_QUALITY = 90

MAX_FILE_BYTES = 50_000_000
"""The largest file that is read at all (bytes)."""

Attachable = Any
"""A path, bytes of an image, an image (Pillow, IPython), a figure, a table (pandas), or an `Image`; a sequence of
such, or a mapping from names to them."""


def attached(prompt: str, things: Attachable, hide: Callable[[str], str] = str) -> tuple[str, tuple[Image, ...]]:
    """Return a prompt with the text of what is attached before it, and the images that go with it.

    Parameters
    ----------
    prompt : str
        What the user says.
    things : Attachable
        What goes with it; an empty sequence: nothing.
    hide : callable, optional
        Hides the secrets in a text.

    Raises
    ------
    InputError
        If something cannot be read, is too large, or is neither text nor an image.
    """
    texts: list[str] = []
    images: list[Image] = []
    for name, thing in _named(things):
        read = _read(name, thing)
        if isinstance(read, Image):
            images.append(read)
        else:
            texts.append(hide(read))
    return "\n".join([*texts, prompt]), tuple(images)


def image(name: str, data: bytes) -> Image:
    """Return an image that a model can be sent.

    Raises
    ------
    InputError
        If `data` is no image that Pillow reads.
    """
    return _encoded(name, _decoded(name, data))


def thumbnail(whole: Image) -> Image:
    """Return a small copy of an image, to be shown."""
    small = _decoded(whole.name, whole.data)
    small.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    return _encoded(whole.name, small)


def with_text(name: str, text: str, kind: str = "File") -> str:
    """Return a text as it stands before a prompt: in a fence that nothing in it can close.

    Raises
    ------
    InputError
        If it is too long.
    """
    name = _shown(name)
    if len(text) > MAX_TEXT_CHARS:
        raise InputError(f"{name} has {len(text):,} characters, {MAX_TEXT_CHARS:,} are allowed", "attach a part of it")
    fence = "`" * 3
    while fence in text:
        fence += "`"
    return f"{kind} `{name}`:\n\n{fence}\n{text.removesuffix(chr(10))}\n{fence}\n"


def _named(things: Attachable) -> list[tuple[str, object]]:
    if isinstance(things, Mapping):
        return [(str(name), thing) for name, thing in things.items()]
    if isinstance(things, Sequence) and not isinstance(things, str | bytes | bytearray):
        return [("", thing) for thing in things]
    return [("", things)]


def _read(name: str, thing: Any) -> str | Image:
    if isinstance(thing, Image):
        if not thing.data:
            raise InputError(f"the image {thing.name} is lost", "attach it again")
        return thing
    if isinstance(thing, str | Path):
        return _file(Path(thing))
    if isinstance(thing, bytes | bytearray):
        return image(name or "image", bytes(thing))
    if hasattr(thing, "getextrema"):  # Pillow's
        return _encoded(name or "image", _plain(thing))
    if (csv := _csv(thing)) is not None:
        return with_text(name or type(thing).__name__, csv, "Table")
    if hasattr(thing, "savefig"):
        return image(name or "figure", _saved(thing))
    for draw in ("_repr_png_", "_repr_jpeg_"):
        if (drawn := _drawn(thing, draw)) is not None:
            return image(name or "image", drawn)
    raise InputError(
        f"{_shown(name) or 'what is attached'} is of type {type(thing).__name__} and cannot be attached",
        "attach a path, an image, a figure or a table; other values go into the prompt as {{ expression }}",
    )


def _csv(thing: Any) -> str | None:
    """Return a table as CSV, by the first way that its library offers; ``None`` where it is none."""
    for method, write in _TABLES.items():
        if hasattr(thing, method):
            with suppress(TypeError, ImportError):  # it writes to files only, or needs another library for it
                return str(write(thing))
    return None


def _exchanged(thing: Any) -> str:
    from pandas.api.interchange import from_dataframe

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas 4 will have other ways; those libraries have moved on by then
        return from_dataframe(thing).to_csv(index=False)


_TABLES: Mapping[str, Callable[[Any], str]] = {
    "to_csv": lambda table: table.to_csv(),  # pandas
    "write_csv": lambda table: table.write_csv(),  # polars
    "to_pandas": lambda table: table.to_pandas().to_csv(index=False),  # Arrow
    "__dataframe__": _exchanged,
}


def _file(path: Path) -> str | Image:
    try:
        path = path.expanduser()
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise InputError(f"cannot attach {_shown(str(path))}: it is no file")
        if found.st_size > MAX_FILE_BYTES:
            raise InputError(
                f"{_shown(str(path))} has {found.st_size:,} bytes: that is too large", "attach a part of it"
            )
        data = path.read_bytes()
    except (OSError, ValueError, RuntimeError) as error:  # the last one: there is no such user
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"cannot attach {_shown(str(path))}: {reason}") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return image(path.name, data)
    if "\0" in text:
        return image(path.name, data)
    return with_text(path.name, text.replace("\r\n", "\n"))


def _saved(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", bbox_inches="tight")
    return buffer.getvalue()


def _drawn(thing: Any, method: str) -> bytes | None:
    drawn = getattr(thing, method, lambda: None)()
    drawn = drawn[0] if isinstance(drawn, tuple) else drawn  # with metadata
    return base64.b64decode(drawn) if isinstance(drawn, str) else drawn if isinstance(drawn, bytes) else None


def _decoded(name: str, data: bytes) -> PIL.Image.Image:
    import PIL.Image
    import PIL.ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", PIL.Image.DecompressionBombWarning)
            opened = PIL.Image.open(io.BytesIO(data))
            opened.load()
            upright = PIL.ImageOps.exif_transpose(opened)
    except (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning) as error:
        raise InputError(f"{_shown(name)} has too many pixels", "make it smaller") from error
    except PIL.UnidentifiedImageError as error:
        raise InputError(f"{_shown(name)} is neither text nor an image: it cannot be attached") from error
    except (OSError, ValueError, SyntaxError, RuntimeError) as error:  # what Pillow raises on a damaged file
        raise InputError(f"{_shown(name)} is a damaged image: {error}") from error
    plain = _plain(upright)
    plain.format = opened.format
    return plain


def _plain(picture: PIL.Image.Image) -> PIL.Image.Image:
    """Return an image with 8 bits a channel, and nothing beside its pixels."""
    if picture.mode.startswith(("I", "F")):  # 16 bits, or real numbers: from the least to the largest
        low, high = cast("tuple[float, float]", picture.getextrema())
        scale = 255 / (high - low or 1)
        picture = picture.convert("F").point(lambda value: value * scale - low * scale).convert("L")
    plain = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    plain.info = {}
    return plain


def _encoded(name: str, picture: PIL.Image.Image) -> Image:
    forms = ("JPEG",) if picture.format in ("JPEG", "MPO") else ("PNG", "JPEG")
    picture.thumbnail((MAX_IMAGE_PX, MAX_IMAGE_PX))
    while True:
        for form in forms:
            data = _written(picture, form)
            if len(data) <= MAX_IMAGE_BYTES:
                return Image(_shown(name), f"image/{form.lower()}", len(data), data)
        picture.thumbnail((picture.width // 2, picture.height // 2))


def _written(picture: PIL.Image.Image, form: str) -> bytes:
    import PIL.Image

    if form == "JPEG" and picture.mode == "RGBA":  # it has no transparency: on white, as a page shows it
        white = PIL.Image.new("RGB", picture.size, "white")
        white.paste(picture, mask=picture.getchannel("A"))
        picture = white
    buffer = io.BytesIO()
    picture.save(buffer, form, quality=JPEG_QUALITY)
    return buffer.getvalue()


def _shown(name: str) -> str:
    return " ".join(name.split()).replace("`", "'")[:200]
