"""Attachments: the text of files and tables is inserted before the prompt, images are sent with it.

Attached text becomes part of the prompt, in its own code fence, so that the history shows it and a search finds it. The
runtime's own text attachments are not used, because the runtime escapes `<` and `&` in them, which breaks code.

An image is always re-encoded as PNG or JPEG of a limited size. If the runtime cannot decode an image, it writes an
entry to the session's log that it cannot read, and the session can never be opened again. Re-encoding also removes the
EXIF data of photographs, such as location and camera.

Why: docs/decisions/0014-encode-images-again.md.
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

from copilot_nb.agent.bounded import fenced
from copilot_nb.conversation.parts import Image
from copilot_nb.errors import InputError
from copilot_nb.system.paths import expanded

if TYPE_CHECKING:
    import PIL.Image

MAX_TEXT_CHARS = 200_000
"""The most text that one attachment may add to a prompt (characters)."""
MAX_IMAGE_PX = 2000
"""The longest edge of an image that is sent (pixels); the runtime scales larger images down itself."""
MAX_IMAGE_BYTES = 3_000_000
"""The largest image that is sent (bytes); slightly below the limit of the strictest provider."""
THUMBNAIL_PX = 480
JPEG_QUALITY = 90
SMALL_FIGURE_PX, SMALL_FIGURE_QUALITY = 320, 75

MAX_FILE_BYTES = 50_000_000
"""The largest file that is read (bytes)."""

Attachable = Any
"""A path, the bytes of an image, an image (Pillow, IPython), a figure, a table (pandas) or an `Image`; a sequence of
these, or a mapping from names to these."""


def attached(prompt: str, things: Attachable, hide: Callable[[str], str] = str) -> tuple[str, tuple[Image, ...]]:
    """Return the prompt with the attached text inserted before it, and the attached images.

    Parameters
    ----------
    prompt : str
        The user's prompt.
    things : Attachable
        The attachments; an empty sequence for none.
    hide : callable, optional
        Returns a text with its secrets hidden.

    Raises
    ------
    InputError
        If an attachment cannot be read, is too large, or is neither text nor an image.
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
    """Return an image in a form that can be sent to a model.

    Raises
    ------
    InputError
        If `data` is not an image that Pillow can read.
    """
    return _encoded(name, _decoded(name, data))


def thumbnail(whole: Image) -> Image:
    """Return a small copy of an image for display."""
    small = _decoded(whole.name, whole.data)
    small.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    return _encoded(whole.name, small)


def small_figure(whole: Image) -> Image:
    """Return a copy of a figure of some 10 kB, for an output that is sent again and again."""
    small = _decoded(whole.name, whole.data)
    small.thumbnail((SMALL_FIGURE_PX, SMALL_FIGURE_PX))
    data = _written(small, "JPEG", SMALL_FIGURE_QUALITY)
    return Image(whole.name, "image/jpeg", len(data), data)


def with_text(name: str, text: str, kind: str = "File") -> str:
    """Return `text` for insertion before a prompt: in a code fence that is longer than any in the text.

    Raises
    ------
    InputError
        If `text` is too long.
    """
    name = _shown(name)
    if len(text) > MAX_TEXT_CHARS:
        raise InputError(f"{name} has {len(text):,} characters, {MAX_TEXT_CHARS:,} are allowed", "attach a part of it")
    return f"{kind} `{name}`:\n\n{fenced(text)}\n"


def _named(things: Attachable) -> list[tuple[str, object]]:
    if isinstance(things, Mapping):
        return [(str(name), thing) for name, thing in things.items()]
    if isinstance(things, Sequence) and not isinstance(things, str | bytes | bytearray):
        return [("", thing) for thing in things]
    return [("", things)]


def _read(name: str, thing: Any) -> str | Image:
    if isinstance(thing, Image):
        if not thing.data:
            raise InputError(f"the data of image {thing.name} is missing", "attach it again")
        return thing
    if isinstance(thing, str | Path):
        return _file(Path(thing))
    if isinstance(thing, bytes | bytearray):
        return image(name or "image", bytes(thing))
    if hasattr(thing, "getextrema"):  # a Pillow image
        return _encoded(name or "image", _plain(thing))
    if (csv := _csv(thing)) is not None:
        return with_text(name or type(thing).__name__, csv, "Table")
    if hasattr(thing, "savefig"):
        return image(name or "figure", _saved(thing))
    for draw in ("_repr_png_", "_repr_jpeg_"):
        if (drawn := _drawn(thing, draw)) is not None:
            return image(name or "image", drawn)
    raise InputError(
        f"{_shown(name) or 'the attachment'} is of type {type(thing).__name__} and cannot be attached",
        "attach a path, an image, a figure or a table; other values go into the prompt as {{ expression }}",
    )


def _csv(thing: Any) -> str | None:
    """Return a table as CSV, by the first method that it has; ``None`` if `thing` is not a table."""
    for method, write in _TABLES.items():
        if hasattr(thing, method):
            with suppress(TypeError, ImportError):  # the method only writes to files, or requires another library
                return str(write(thing))
    return None


def _exchanged(thing: Any) -> str:
    from pandas.api.interchange import from_dataframe

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the interchange protocol is deprecated and will be removed in pandas 4
        return from_dataframe(thing).to_csv(index=False)


_TABLES: Mapping[str, Callable[[Any], str]] = {
    "to_csv": lambda table: table.to_csv(),  # pandas
    "write_csv": lambda table: table.write_csv(),  # polars
    "to_pandas": lambda table: table.to_pandas().to_csv(index=False),  # Arrow
    "__dataframe__": _exchanged,
}


def _file(path: Path) -> str | Image:
    try:
        path = expanded(path)
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise InputError(f"cannot attach {_shown(str(path))}: it is not a file")
        if found.st_size > MAX_FILE_BYTES:
            raise InputError(
                f"{_shown(str(path))} has {found.st_size:,} bytes, {MAX_FILE_BYTES:,} are allowed",
                "attach a part of it",
            )
        data = path.read_bytes()
    except (OSError, ValueError) as error:
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
    drawn = drawn[0] if isinstance(drawn, tuple) else drawn  # data and metadata
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
    except (OSError, ValueError, SyntaxError, RuntimeError) as error:  # Pillow raises these on a damaged file
        raise InputError(f"{_shown(name)} is a damaged image: {error}") from error
    plain = _plain(upright)
    plain.format = opened.format
    return plain


def _plain(picture: PIL.Image.Image) -> PIL.Image.Image:
    """Return an image with 8 bits per channel and no metadata."""
    if picture.mode.startswith(("I", "F")):  # 16 bits or floats: scale the range of values to 0-255
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


def _written(picture: PIL.Image.Image, form: str, quality: int = JPEG_QUALITY) -> bytes:
    import PIL.Image

    if form == "JPEG" and picture.mode == "RGBA":  # JPEG has no transparency: use a white background
        white = PIL.Image.new("RGB", picture.size, "white")
        white.paste(picture, mask=picture.getchannel("A"))
        picture = white
    buffer = io.BytesIO()
    picture.save(buffer, form, quality=quality)
    return buffer.getvalue()


def _shown(name: str) -> str:
    return " ".join(name.split()).replace("`", "'")[:200]
