"""The whole site in a real browser, on the demo's data: what its users would see."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from portal.demo.sink import free_port
from portal.demo.world import PASSWORD

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
CONSOLE = [
    "/console/",
    "/console/incidents/",
    "/console/incidents/1/",
    "/console/incidents/1/customers/",
    "/console/incidents/1/update/",
    "/console/incidents/1/resolve/",
    "/console/incidents/1/edit/",
    "/console/incidents/declare/",
    "/console/customers/",
    "/console/customers/harbour-books/",
    "/console/outreach/",
    "/console/outreach/1/",
    "/console/tenets/",
    "/console/tenets/orders-consumers/",
    "/console/guidance/",
    "/console/gaps/",
    "/console/style/",
]
PUBLIC = ["/", "/i/INC-1", "/errors/502", "/errors/429?kind=business", "/sign-in/", "/no-such-page"]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.worker,
    pytest.mark.skipif(
        CHROMIUM is None, reason="no Chromium: apt-get install --no-install-recommends chromium"
    ),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The demo, served for as long as this module runs."""
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


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield found
        found.close()


def sign_in(page, site: str, email: str) -> None:
    page.goto(f"{site}/sign-in/")
    page.fill("input[name=username]", email)
    page.fill("input[name=password]", PASSWORD)
    page.press("input[name=password]", "Enter")
    page.wait_for_load_state()
    assert "/sign-in/" not in page.url


def complaints_of(page) -> list[str]:
    """Collect what the browser complains about: violations of the policy, errors of scripts."""
    said: list[str] = []
    page.on(
        "console",
        lambda message: message.type in {"error", "warning"} and said.append(message.text),
    )
    page.on("pageerror", lambda error: said.append(str(error)))
    return said


def look(page, site: str, paths: list[str], width: int) -> list[str]:
    said, wrong = complaints_of(page), []
    for path in paths:
        answer = page.goto(site + path)
        expected = 404 if path == "/no-such-page" else 200
        if answer.status != expected:
            wrong.append(f"{path} answers {answer.status}")
        if page.evaluate("document.documentElement.scrollWidth") > width:
            wrong.append(f"{path} scrolls sideways at {width} px")
        if page.locator("h1").count() != 1:
            wrong.append(f"{path} has {page.locator('h1').count()} main headings")
        wrong += [f"{path}: {text}" for text in said if not (expected == 404 and "404" in text)]
        said.clear()
    return wrong


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 390), ("light", 320)])
def test_every_page_stands_in_both_themes_and_on_a_phone(site, browser, theme, width):
    context = browser.new_context(color_scheme=theme, viewport={"width": width, "height": 800})
    page = context.new_page()

    wrong = look(page, site, PUBLIC, width)
    sign_in(page, site, "ada@example.com")
    wrong += look(page, site, CONSOLE, width)

    context.close()
    assert wrong == []


def test_every_page_works_without_javascript(site, browser):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()

    page.goto(f"{site}/sign-in/")
    page.fill("input[name=username]", "ada@example.com")
    page.fill("input[name=password]", PASSWORD)
    page.press("input[name=password]", "Enter")
    page.wait_for_load_state()
    statuses = {path: page.goto(site + path).status for path in [*CONSOLE, *PUBLIC[:-1]]}

    context.close()
    assert set(statuses.values()) == {200}, statuses


def test_a_customer_reads_their_own_numbers_first_thing(site, browser):
    context = browser.new_context(viewport={"width": 390, "height": 800})
    page = context.new_page()

    sign_in(page, site, "jo@harbour-books.example")
    text = page.locator("main").inner_text()

    assert page.url == f"{site}/"
    assert "For you, Harbour Books" in text
    assert "Northwind" not in page.content()
    assert re.search(r"\d+ of your \d+", text)
    page.goto(f"{site}/console/")
    assert page.url == f"{site}/"
    assert page.goto(f"{site}/console/incidents/").status == 403
    context.close()


def test_an_update_reaches_the_public_page(site, browser):
    context = browser.new_context()
    page = context.new_page()
    sign_in(page, site, "ada@example.com")

    page.goto(f"{site}/console/incidents/1/update/")
    page.fill("textarea[name=text]", "We have looked at <b>every</b> order of that evening.")
    with page.expect_navigation():
        page.locator("main form button").first.click()
    page.goto(f"{site}/console/incidents/1/publish/")
    with page.expect_navigation():
        page.get_by_role("button", name=re.compile("Publish")).first.click()
    end = time.monotonic() + 30
    reader = browser.new_page()
    while "every order of that evening" not in reader.inner_text("body") and time.monotonic() < end:
        reader.goto(f"{site}/")
        time.sleep(0.3)

    text = reader.inner_text("body")
    context.close()
    assert "every" in text
    assert "order of that evening" in text
    assert reader.locator("main b").count() == 0
