"""The system map with a day of traffic on it: seen, by keyboard, by ear, on a phone."""

import time

import pytest

from tests.browser.conftest import ADMIN, sign_in
from tests.browser.test_accessibility import faults

MAP = "/console/system/"
COUNTED = "requests of customers in the 24 hours"


def counted(page, site: str) -> None:
    """Wait for the worker's count: then every sort of place stands on the map."""
    end = time.monotonic() + 60
    page.goto(site + MAP)
    while COUNTED not in page.content():
        assert time.monotonic() < end, "nothing was counted"
        time.sleep(1)
        page.reload()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_serious_is_found_on_the_map_and_its_list(site, browser, theme):
    context = browser.new_context(color_scheme=theme, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    sign_in(page, site, ADMIN)
    counted(page, site)

    wrong = faults(page, "folded")
    page.get_by_text("Read it as a list").click()
    wrong += faults(page, "unfolded")

    context.close()
    assert wrong == []


def test_the_map_is_walked_by_keyboard_and_says_how_each_is(site, browser):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    sign_in(page, site, ADMIN)
    counted(page, site)

    page.locator(".page-header a").last.focus()
    page.keyboard.press("Tab")
    assert "Skip the drawing" in page.evaluate("document.activeElement.textContent")
    assert page.locator(".map-skip a").bounding_box()["x"] >= 0, "it is seen while it has focus"
    walked = []
    for _ in range(page.locator(".map-box").count()):
        page.keyboard.press("Tab")
        walked.append(page.evaluate("document.activeElement.getAttribute('aria-label')"))
        ring = page.evaluate(
            "getComputedStyle(document.activeElement.querySelector('.map-ground')).strokeWidth"
        )
        assert float(ring.removesuffix("px")) >= 2
    columns = ["Northwind Gifts", "Purchase", "Shop"]
    found = [next(at for at, one in enumerate(walked) if one.split(":")[0] == c) for c in columns]
    assert found == sorted(found), "in the order of the columns"
    states = (
        "fine",
        "fail",
        "slow",
        "recovering",
        "hit",
        "open",
        "not known",
        "no traffic",
        "not measured",
    )
    assert all(any(word in one for word in states) for one in walked)
    assert page.get_by_role("link", name="Shop: recovering").count() == 1

    page.locator(".map-skip a").focus()
    page.keyboard.press("Enter")
    page.locator("#map-list").get_by_role("link", name="Northwind Gifts").wait_for()
    context.close()


@pytest.mark.parametrize("width", [320, 390])
def test_on_a_phone_and_without_scripts_the_list_stands_open(site, browser, width):
    context = browser.new_context(
        java_script_enabled=False, viewport={"width": width, "height": 800}
    )
    page = context.new_page()
    sign_in(page, site, ADMIN)
    counted(page, site)

    assert not page.locator(".system-map").is_visible()
    listed = page.locator("#map-list").get_by_role("link", name="Northwind Gifts")
    assert listed.is_visible()
    page.get_by_role("list", name="Purchase is asked of").get_by_text("Shop").wait_for()
    listed.click()
    assert "/console/customers/northwind-gifts/" in page.url
    context.close()
