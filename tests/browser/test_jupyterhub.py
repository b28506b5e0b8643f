"""JupyterHub as `docs/jupyterhub.md` sets it up: two people at their browsers, and a third who looks for theirs."""

from __future__ import annotations

import json
import pwd
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import nbformat
import psutil
import pytest
from playwright.sync_api import Browser, Page

from copilot_nb.runtime.install.find_runtime import WRAPPER_NAME
from tests.hub import Hub, HubKernel, running
from tests.hub_site import Person, Site, site
from tests.loopback import Loopback

from .chromium import new_context
from .conftest import Notebook, Server

SHUTDOWN_S = 30.0
KEY = "key-of-the-site-1234567890"
SHOW_PORTS = """
from ipykernel.connect import get_connection_info
print([port for name, port in get_connection_info(unpack=True).items() if name.endswith("_port")])
"""
CELLS = ("%%copilot chat\nI am {name}, and I like wool.", "%copilot ls --all", "%copilot rm chat -y", SHOW_PORTS)


@dataclass(frozen=True)
class Place:
    """The running Hub, its provider, and who is there: two at their browsers, and a notebook of the third."""

    site: Site
    hub: Hub
    provider: Loopback
    notebooks: tuple[Notebook, ...]
    third: HubKernel

    @property
    def first(self) -> Person:
        """The person whose files the third tries to read."""
        return self.site.people[0]


@pytest.fixture(scope="module")
def place(browser: Browser) -> Iterator[Place]:
    refused: list[str] = []
    with ExitStack() as stack:
        provider = stack.enter_context(Loopback("Wool is warm."))
        installed = stack.enter_context(site(3))
        hub = stack.enter_context(running(installed, {"http://127.0.0.1:4000": provider.url}, {"SITE_API_KEY": KEY}))
        for person in installed.people:
            hub.start(person)
        pages = [stack.enter_context(new_context(browser, refused)).new_page() for _ in range(2)]
        notebooks = tuple(opened(page, hub, person) for page, person in zip(pages, installed.people, strict=False))
        for notebook in notebooks:
            notebook.run(0)
        third = stack.enter_context(hub.kernel(installed.people[2]))
        third.run("from tests.intruder import *\nimport copilot_nb as cp")
        yield Place(installed, hub, provider, notebooks, third)
        first = installed.people[0]
        processes = [psutil.Process(number) for number in processes_of(first)] if installed.has_users else []
        hub.stop(first)
        assert psutil.wait_procs(processes, timeout=SHUTDOWN_S)[1] == []
        assert (first.home / ".copilot" / "session-state" / "chat").is_dir()
    assert not refused
    assert not installed.folder.exists()
    if installed.has_users:
        assert not {user.pw_name for user in pwd.getpwall()} & {person.name for person in installed.people}
        assert not [path for person in installed.people for path in temporary_files_of(person)]


def opened(page: Page, hub: Hub, person: Person) -> Notebook:
    """Log a person in at the Hub's page, and open a notebook of theirs in JupyterLab."""
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
    notebook.cells = [nbformat.v4.new_code_cell(cell.format(name=person.name)) for cell in CELLS]
    server = Server(f"{hub.url}/user/{person.name}", hub.token, person.home)
    hub.api(f"user/{person.name}/api/contents/talk.ipynb", "PUT", {"type": "notebook", "content": notebook})
    page.goto(f"{hub.url}/hub/login?next=/user/{person.name}/lab/tree/talk.ipynb")
    page.get_by_label("Username").fill(person.name)
    page.get_by_label("Password").fill(hub.password)
    page.get_by_role("button", name="Sign in").click()
    opened = Notebook(page, person.home / "talk.ipynb", server)
    opened.wait_idle()
    return opened


def test_each_person_sees_and_deletes_only_their_own_sessions(place: Place) -> None:
    for notebook in place.notebooks:
        assert "Wool is warm." in notebook.output(0).inner_text()
        notebook.run(1)
        assert notebook.output(1).inner_text().count("chat") == 1
    first, second = place.notebooks
    second.run(2)
    second.run(1)
    assert "No sessions" in second.output(1).inner_text()
    first.run(1)
    assert "chat" in first.output(1).inner_text()
    assert [asked.key for asked in place.provider.asked][:2] == [KEY, KEY]


def test_names_come_from_the_hub_and_reach_no_sessions_of_others(place: Place) -> None:
    third, own, other = place.third, place.site.people[2].name, place.first.name
    assert own in third.run("shown = cp.Visitor(print)")
    third.run("%%copilot own -p local\nHello")
    names = third.value("[each.name for each in cp.sessions()]")
    assert "own" in names
    assert "chat" not in names
    assert other not in third.run("%copilot ls --all")
    assert third.value(f"len(cp.sessions(user={other!r}))") == 0
    assert third.value(f"len(cp.session('chat', user={other!r}).history)") == 0
    assert third.value("len(cp.search('wool'))") == 0


def test_a_gateway_can_ask_the_hub_who_sends_a_request(place: Place) -> None:
    url = {"base_url": f"{place.provider.url}/v1", "api_key_env": "JUPYTERHUB_API_TOKEN"}
    place.third.run(f"%config CopilotNB.providers = {{'gateway': {{'type': 'openai-compatible', **{url}}}}}")
    place.third.run("%%copilot asked -p gateway -m small\nHello")
    token = place.provider.asked[-1].key
    assert place.hub.api("hub/api/user", token=token)["name"] == place.site.people[2].name


def test_a_notebook_reads_no_file_process_or_kernel_of_another(place: Place) -> None:
    third, folder = place.third, place.first.home / ".copilot"
    assert third.value(f"status_of('{place.hub.url}/user/{place.first.name}/api/contents')") == HTTPStatus.FORBIDDEN
    assert third.value(f"status_of('{place.hub.url}/user/{place.site.people[2].name}/api/contents')") == HTTPStatus.OK
    place.notebooks[0].run(3)
    ports = json.loads(place.notebooks[0].output(3).inner_text())
    assert third.value(f"[mechanism_of(port) for port in {ports}]") == ["CURVE"] * 5
    lines = third.run("import psutil; print([each.info['cmdline'] for each in psutil.process_iter(['cmdline'])])")
    assert WRAPPER_NAME in lines
    assert KEY not in lines
    assert "wool" not in lines
    if not place.site.has_users:
        return  # they are one user of the system, which protects none of the rest
    processes = processes_of(place.first)
    assert WRAPPER_NAME in processes.values()
    assert third.value(f"[each for process_id in {list(processes)} for each in secrets_of(process_id)]") == []
    assert b"wool" in (folder / "session-state" / "chat" / "events.jsonl").read_bytes()
    assert third.value(f"readable('{folder}')") == []
    assert third.value(f"[each for each in readable('{place.site.cache}') if each.endswith('/')]") == []


def processes_of(person: Person) -> dict[int, str]:
    """Return the ids of the processes of a user of the system, with their names."""
    running = [process.info for process in psutil.process_iter(["pid", "name", "uids"])]
    return {process["pid"]: process["name"] for process in running if process["uids"].real == person.user_id}


def temporary_files_of(person: Person) -> list[Path]:
    """Return what a user of the system has left in the folder for temporary files."""
    found = []
    for path in Path("/tmp").iterdir():
        with suppress(FileNotFoundError):  # somebody else's, and gone by now
            found += [path] if path.lstat().st_uid == person.user_id else []
    return found
