"""axe over every page, in both themes and with more contrast: nothing serious, nothing critical."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.browser.conftest import (
    ADMIN,
    CUSTOMER,
    MANAGER,
    OF_CUSTOMERS,
    PUBLIC,
    complaints_of,
    sign_in,
    unless_said,
)

#: Injected by the driver, beside the page's policy, which stays as it is. It must not preload style sheets: it would
#: wait for what the policy refuses.
AXE = (Path(find_spec("axe_core_python").origin).parent / "axe.min.js").read_text()
BAD = {"serious", "critical"}
#: The same to everybody who may open them.
WITHOUT_FORMS = {"/console/style/", "/console/system/", "/console/search/"}
CLOSED = "details:not([open]) > :not(summary)"


#: What a theme can change of a page; the rest is asked once.
OF_COLOURS = ["color-contrast", "link-in-text-block"]
LOOKS = {
    "light": {"color_scheme": "light", "contrast": "no-preference"},
    "dark": {"color_scheme": "dark", "contrast": "no-preference"},
    "dark, more contrast": {"color_scheme": "dark", "contrast": "more"},
}


def faults(page, where: str, part: str = "html", rules: Sequence[str] = ()) -> list[str]:
    """Return what axe finds wrong with the page as it stands: by these rules, or by all."""
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(AXE)
    options = {"preload": False, "resultTypes": ["violations"]}
    if rules:
        options["runOnly"] = list(rules)
    _fold(page, "none")
    found = page.evaluate("([part, options]) => axe.run(part, options)", [part, options])
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


def walk(browser, site, paths, *, who="", looks=("light",)) -> list[str]:
    """Open every page that this person may; return what axe finds wrong and what the browser complains about.

    In its first look a page is asked everything, in each other one what colours can change.
    """
    first, *others = looks
    context = browser.new_context(viewport={"width": 1280, "height": 900}, **LOOKS[first])
    page = context.new_page()
    said = complaints_of(page)
    if who:
        sign_in(page, site, who)
    wrong, seen = [], 0
    for path in paths:
        if who and page.request.get(site + path, max_redirects=0).status != 200:
            continue
        page.emulate_media(**LOOKS[first])
        page.goto(site + path)
        wrong += [*faults(page, f"{path} {first}"), *unless_said(said, path)]
        for look in others:
            page.emulate_media(**LOOKS[look])
            wrong += faults(page, f"{path} {look}", rules=OF_COLOURS)
            wrong += unless_said(said, path)
        seen += 1
    context.close()
    assert seen > 3
    return wrong


def test_nothing_serious_is_found_on_any_page(site, browser, console):
    wrong = walk(browser, site, PUBLIC, looks=LOOKS)
    wrong += walk(browser, site, console, who=ADMIN, looks=LOOKS)

    assert wrong == []


def test_a_theme_is_another_look_of_the_same_page(site, browser):
    """What the walk relies on: a page that is told of another theme wears it, without being loaded again."""
    context = browser.new_context(**LOOKS["light"])
    page = context.new_page()
    page.goto(f"{site}/")
    worn = []
    for look in LOOKS.values():
        page.emulate_media(**look)
        worn.append(
            page.evaluate(
                "[document.body, document.querySelector('a')]"
                ".map((one) => getComputedStyle(one)).map((one) => one.backgroundColor + one.color).join()"
            )
        )
    context.close()

    assert len(set(worn)) == len(LOOKS)


def test_nothing_serious_is_found_by_others(site, browser, console, viewer):
    """Who may less has other pages: without the forms, or with their own customers only."""
    pages = [path for path in console if path not in WITHOUT_FORMS]

    wrong = walk(browser, site, pages, who=MANAGER, looks=["dark"])
    wrong += walk(browser, site, pages, who=viewer)
    wrong += walk(browser, site, OF_CUSTOMERS, who=CUSTOMER, looks=["light", "dark"])

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
