"""The demo, served, and a browser; and every address of the console, found by following its links."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.urls import Resolver404, resolve

from portal.demo.sink import free_port
from portal.demo.world import PASSWORD
from tests.access.world import routes

playwright = pytest.importorskip("playwright.sync_api")

ROOT = Path(__file__).parent.parent.parent
CHROMIUM = next(
    (p for p in ("/usr/bin/chromium", "/usr/bin/chromium-browser") if Path(p).exists()), None
)
FLAGS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    *(["--no-sandbox"] if os.geteuid() == 0 else []),
]
PUBLIC = [
    "/",
    "/i/INC-1",
    "/errors/502",
    "/errors/429?kind=business",
    "/sign-in/",
    "/sign-in/code/",
    "/sign-in/closed/",
    "/invitation/used/",
    "/first/used/",
    "/no-such-page",
]
#: What an address of PUBLIC answers that is not 200.
ANSWERS = {"/no-such-page": 404, "/first/used/": 410, "/invitation/used/": 410}
ADMIN, LEAD, CUSTOMER = "olga@example.com", "ada@example.com", "jo@harbour-books.example"
MANAGER, VIEWER = "amy@example.com", "vic@example.com"
#: What a contact of a customer reads beside what everybody reads.
OF_CUSTOMERS = ["/", "/for/", "/reports/", "/reports/thanks/", "/console/"]


def pytest_collection_modifyitems(items):
    """All of these need a browser and a worker."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.worker)
            item.add_marker(
                pytest.mark.skipif(
                    CHROMIUM is None,
                    reason="no Chromium: apt-get install --no-install-recommends chromium",
                )
            )


@pytest.fixture(scope="package")
def site(tmp_path_factory):
    """The demo, served for as long as these tests run."""
    home = tmp_path_factory.mktemp("site")
    for folder in (home, home.parent):
        folder.chmod(0o711)
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith(("PORTAL_", "DATABASE_", "DJANGO_"))
    }
    port = free_port()
    log = home / "demo.log"
    with log.open("wb") as out:
        demo = subprocess.Popen(
            [sys.executable, "manage.py", "demo", "--bind", f"127.0.0.1:{port}"],
            cwd=ROOT,
            env={**kept, "PORTAL_HOME": str(home), "PORTAL_PG_FAST": "1", "PYTHONUNBUFFERED": "1"},
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        end = time.monotonic() + 180
        while "Ctrl-C stops everything" not in log.read_text():
            assert demo.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        demo.send_signal(signal.SIGINT)
        demo.wait(timeout=60)


@pytest.fixture(scope="package")
def browser():
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield found
        found.close()


@pytest.fixture(scope="package")
def viewer(site, browser) -> str:
    """Somebody who may read everything and change nothing: the demo has none, so they are invited, without scripts."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    sign_in(page, site, ADMIN)
    page.goto(f"{site}/console/people/invite/")
    page.fill("input[name=email]", VIEWER)
    page.fill("input[name=name]", "Vic")
    page.select_option("select[name=role]", "viewer")
    page.locator("main form button").click()
    link = urlsplit(page.locator("main pre code").inner_text()).path
    page.context.clear_cookies()
    page.goto(site + link)
    for field in page.locator("input[type=password]").all():
        field.fill(PASSWORD)
    page.locator("main form button").click()
    context.close()
    return VIEWER


@pytest.fixture(scope="package")
def console(site, browser) -> list[str]:
    """One address for every route of the console that an admin can read: a new page is in it by itself."""
    context = browser.new_context()
    page = context.new_page()
    sign_in(page, site, ADMIN)
    wanted = {route for route in routes() if route.startswith("console/")}
    waiting = [f"/{route}" for route in sorted(wanted) if "<" not in route]
    found: dict[str, str] = {}
    while waiting:
        address = waiting.pop(0)
        route = _route(address)
        if route not in wanted or route in found or route.endswith("/preview/"):  # a mail, no page
            continue
        answer = page.request.get(site + address, max_redirects=0)
        if answer.status != 200 or "text/html" not in answer.headers.get("content-type", ""):
            continue  # it only takes a POST, leads elsewhere or is a file
        found[route] = address
        waiting += _links(answer.text())
    context.close()
    return sorted(found.values())


def _route(address: str) -> str:
    try:
        return resolve(urlsplit(address).path).route
    except Resolver404:
        return ""


def _links(text: str) -> Iterator[str]:
    for link in re.findall(r'(?:href|action)="(/console/[^"#]+)"', text):
        yield link.replace("&amp;", "&")


def complaints_of(page) -> list[str]:
    """Collect what the browser complains about: violations of the policy, errors of scripts."""
    said: list[str] = []
    page.on(
        "console",
        lambda message: message.type in {"error", "warning"} and said.append(message.text),
    )
    page.on("pageerror", lambda error: said.append(str(error)))
    # The browser says it by itself, but not everything that it reports to the page.
    page.add_init_script(
        "document.addEventListener('securitypolicyviolation',"
        " (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`))"
    )
    return said


def unless_said(said: list[str], path: str) -> list[str]:
    """Take what was complained about on a page, but for the status that it should have."""
    found = [f"{path}: {text}" for text in said if str(ANSWERS.get(path, "-")) not in text]
    said.clear()
    return found


def sign_in(page, site: str, email: str) -> None:
    page.goto(f"{site}/sign-in/")
    page.fill("input[name=username]", email)
    page.fill("input[name=password]", PASSWORD)
    page.press("input[name=password]", "Enter")
    page.wait_for_load_state()
    assert "/sign-in/" not in page.url
