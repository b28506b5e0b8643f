"""A panel's connection to its page, as a test can spoil it: messages that are lost, or come twice."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Page

Content = dict[str, Any]


def once(_content: Content) -> int:
    """Pass a message on as it is."""
    return 1


def losing(fits: Callable[[Content], object]) -> Callable[[Content], int]:
    """Lose the first message that `fits`."""
    lost: list[Content] = []

    def times(content: Content) -> int:
        if lost or not fits(content):
            return 1
        lost.append(content)
        return 0

    return times


@dataclass
class Wire:
    """How often the messages of panels are passed on, and what they were.

    Attributes
    ----------
    to_page, to_kernel : callable
        Return how often a message is passed on: 0 loses it.
    sent, got : list of dict
        What the page has sent, and what it was to be given, in order.
    """

    to_page: Callable[[Content], int] = once
    to_kernel: Callable[[Content], int] = once
    sent: list[Content] = field(default_factory=list)
    got: list[Content] = field(default_factory=list)

    def asked(self, what: str) -> int:
        """Return how often the page has asked for something."""
        return sum(message["do"] == what for message in list(self.sent))

    def ids(self, what: str) -> set[str]:
        """Return the ids under which the page has asked for it."""
        return {message["id"] for message in list(self.sent) if message["do"] == what}

    @staticmethod
    def until(page: Page, is_so: Callable[[], bool]) -> None:
        """Wait for something that the wire sees; the page goes on meanwhile."""
        deadline_s = time.monotonic() + 60
        while not is_so():
            assert time.monotonic() < deadline_s
            page.evaluate("() => new Promise(requestAnimationFrame)")
