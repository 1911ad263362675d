"""The whole site in a real browser, on the demo's data: what its users would see."""

import re
import time

import pytest

from tests.browser.conftest import ADMIN, CUSTOMER, LEAD, PUBLIC, sign_in


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
def test_every_page_stands_in_both_themes_and_on_a_phone(site, browser, console, theme, width):
    context = browser.new_context(color_scheme=theme, viewport={"width": width, "height": 800})
    page = context.new_page()

    wrong = look(page, site, PUBLIC, width)
    sign_in(page, site, ADMIN)
    wrong += look(page, site, console, width)

    context.close()
    assert wrong == []


def test_every_page_works_without_javascript(site, browser, console):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()

    sign_in(page, site, ADMIN)
    statuses = {path: page.goto(site + path).status for path in [*console, *PUBLIC[:-1]]}

    context.close()
    assert set(statuses.values()) == {200}, statuses


def test_a_customer_reads_their_own_numbers_first_thing(site, browser):
    context = browser.new_context(viewport={"width": 390, "height": 800})
    page = context.new_page()

    sign_in(page, site, CUSTOMER)
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
    sign_in(page, site, LEAD)

    page.goto(f"{site}/console/incidents/1/update/")
    page.fill("textarea[name=text]", "We have looked at <b>every</b> order of that evening.")
    with page.expect_navigation():
        page.locator("main form button").first.click()
    page.goto(f"{site}/console/incidents/1/publish/")
    with page.expect_navigation():
        page.get_by_role("button", name=re.compile("Publish")).first.click()
    end = time.monotonic() + 60
    reader = browser.new_page()
    while "every order of that evening" not in reader.inner_text("body") and time.monotonic() < end:
        reader.goto(f"{site}/")
        time.sleep(0.3)

    text = reader.inner_text("body")
    context.close()
    assert "every" in text
    assert "order of that evening" in text
    assert reader.locator("main b").count() == 0


def test_every_link_of_the_menus_is_walked(console):
    """The walk finds the pages: those without a placeholder, and at least one of each that hangs below."""
    for address in ("/console/", "/console/incidents/1/", "/console/style/", "/console/search/"):
        assert address in console
    assert len(console) >= 25


def test_keys_lead_everywhere(site, browser):
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    sign_in(page, site, LEAD)

    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.name") == "q"
    page.keyboard.press("Escape")
    page.locator("h1").click()
    page.keyboard.press("?")
    assert page.locator("dialog#help").is_visible()
    page.keyboard.press("Escape")
    page.keyboard.press(":")
    page.keyboard.type("declare")
    page.keyboard.press("Enter")
    page.wait_for_url("**/console/incidents/declare/")
    page.locator("h1").click()
    page.keyboard.press("Control+k")
    page.keyboard.type("harbour")
    page.keyboard.press("Enter")
    page.wait_for_url("**/console/search/?q=harbour")
    assert "Harbour Books" in page.locator("#results").inner_text()
    context.close()


def test_the_search_answers_while_one_types(site, browser):
    context = browser.new_context(viewport={"width": 390, "height": 800})
    page = context.new_page()
    sign_in(page, site, LEAD)

    page.keyboard.press("/")
    page.wait_for_url("**/console/search/")
    page.locator("#everything").press_sequentially("harb")
    page.get_by_role("link", name="Harbour Books").wait_for()
    assert page.url.endswith("?q=harb")
    context.close()


def test_a_chart_comes_when_the_worker_has_drawn_it(site, browser):
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    sign_in(page, site, LEAD)

    page.goto(f"{site}/console/style/")
    page.locator(".chart-frame .chart-wide").nth(3).wait_for(timeout=60_000)

    assert page.locator(".chart-wide:visible").count() == 4
    assert page.locator(".chart-narrow:visible").count() == 0
    context.close()
