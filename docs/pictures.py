"""Puts the pictures of the pages into the site, each in the theme that the reader has chosen.

A page writes a picture as ``<picture>``, with a dark and a light file: GitHub shows the one of the reader's theme.
Sphinx takes that for HTML and does not copy the files, and the site's switch between light and dark would not change
them. So each becomes two images here, of which the site's theme shows one.
"""

from __future__ import annotations

import re
from html import unescape

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

_PICTURE = re.compile(r'<picture>.*?srcset="([^"]+)".*?<img\s(.*?)>\s*</picture>', re.DOTALL)


class Pictures(SphinxTransform):
    """Replaces each ``<picture>`` by two images."""

    default_priority = 500

    def apply(self, **_: object) -> None:
        """Replace those of one page."""
        for raw in list(self.document.findall(nodes.raw)):
            if found := _PICTURE.findall(raw.astext()):
                raw.parent.replace(raw, [image for dark, light in found for image in _images(dark, light)])


def _images(dark: str, light: str) -> list[nodes.image]:
    said = {name: unescape(value) for name, value in re.findall(r'(\w+)="([^"]*)"', light)}
    files = {"only-light": said.pop("src"), "only-dark": dark}
    return [nodes.image(uri=uri, classes=[theme], **said) for theme, uri in files.items()]


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the transform."""
    app.add_transform(Pictures)
    return {"parallel_read_safe": True}
