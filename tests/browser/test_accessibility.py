"""axe over every page, in both themes and with more contrast: nothing serious, nothing critical."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.browser.conftest import ADMIN, PUBLIC, sign_in

#: Injected by the driver, beside the page's policy, which stays as it is. It must not preload style sheets: it would
#: wait for what the policy refuses.
AXE = (Path(find_spec("axe_core_python").origin).parent / "axe.min.js").read_text()
BAD = {"serious", "critical"}
CLOSED = "details:not([open]) > :not(summary)"


def faults(page, where: str, part: str = "html") -> list[str]:
    """Return what axe finds wrong with the page as it stands."""
    page.evaluate(AXE)
    _fold(page, "none")
    found = page.evaluate(f"axe.run('{part}', {{preload: false, resultTypes: ['violations']}})")
    _fold(page, "")
    return [
        f"{where}: {rule['id']} ({rule['impact']}) {rule['nodes'][0]['html'][:150]}"
        f" {rule['nodes'][0]['target']} {rule['nodes'][0]['failureSummary'][:300]}"
        for rule in found["violations"]
        if rule["impact"] in BAD
    ]


def _fold(page, display: str) -> None:
    """Take what is folded away off the page: it is not painted, but axe takes it for a background."""
    page.evaluate(
        "([closed, display]) => document.querySelectorAll(closed)"
        ".forEach((one) => { one.style.display = display })",
        [CLOSED, display],
    )


@pytest.mark.parametrize(
    ("theme", "contrast", "width"),
    [("light", "no-preference", 1280), ("dark", "no-preference", 1280), ("light", "more", 390)],
)
def test_nothing_serious_is_found_on_any_page(site, browser, console, theme, contrast, width):
    context = browser.new_context(
        color_scheme=theme, contrast=contrast, viewport={"width": width, "height": 900}
    )
    page = context.new_page()
    wrong = []
    for path in PUBLIC:
        page.goto(site + path)
        wrong += faults(page, path)
    sign_in(page, site, ADMIN)
    for path in console:
        page.goto(site + path)
        wrong += faults(page, path)

    context.close()
    assert wrong == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_serious_is_found_in_what_opens(site, browser, theme):
    context = browser.new_context(color_scheme=theme, viewport={"width": 390, "height": 900})
    page = context.new_page()
    sign_in(page, site, ADMIN)
    page.goto(f"{site}/console/settings/")
    wrong = []
    for key, name in ((":", "command bar"), ("?", "keys")):
        page.locator("h1").click()
        page.keyboard.press(key)
        page.locator("dialog[open]").wait_for()
        wrong += faults(page, name, "dialog[open]")  # what is behind cannot be reached
        page.keyboard.press("Escape")
    page.goto(f"{site}/console/style/")
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
    wrong += faults(page, "everything uncovered")

    context.close()
    assert wrong == []


def test_forced_colours_keep_states_apart_and_focus_seen(site, browser):
    context = browser.new_context(forced_colors="active", viewport={"width": 1280, "height": 900})
    page = context.new_page()
    sign_in(page, site, ADMIN)
    page.goto(f"{site}/console/style/")

    page.keyboard.press("Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    tab = page.locator(".tabs [aria-current]").first
    assert tab.evaluate("el => getComputedStyle(el).borderBottomStyle") == "solid"
    # A bar of outcomes and a hatch say nothing without their colours.
    adjust = page.locator(".outcomes-bar").first.evaluate(
        "el => getComputedStyle(el).forcedColorAdjust"
    )
    assert adjust == "none"
    context.close()
