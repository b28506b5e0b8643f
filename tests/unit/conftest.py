"""Rules for the unit tests: they leave no manager in the process, because the tests of the magics make one there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from copilot_nb.named_sessions import api


@pytest.fixture(autouse=True)
def leaves_no_manager() -> Iterator[None]:
    before = api._Shared.manager
    yield
    assert api._Shared.manager is before, "the test has left a manager: pass one, or call drop_manager()"
