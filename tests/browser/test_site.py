"""The whole site in a real browser, on the demo's data: what its users would see."""

import re
import time

from tests.browser.conftest import (
    ADMIN,
    ANSWERS,
    CUSTOMER,
    LEAD,
    PUBLIC,
    complaints_of,
    sign_in,
    unless_said,
)

#: What is wrong with a page as it stands: what keyboards and screen readers stumble over, and what axe does not ask.
LOOK = """() => {
  const wrong = [];
  const mains = document.querySelectorAll("h1").length;
  if (mains !== 1) wrong.push(`${mains} main headings`);
  let level = 0;
  for (const one of document.querySelectorAll("main :is(h1, h2, h3, h4)")) {
    if (!one.checkVisibility()) continue;
    const its = Number(one.tagName[1]);
    if (its > level + 1) wrong.push(`h${its} “${one.textContent.trim()}” after h${level}`);
    level = its;
  }
  for (const one of document.querySelectorAll("[tabindex]")) {
    if (one.tabIndex > 0) wrong.push(`an order of its own: ${one.outerHTML.slice(0, 80)}`);
  }
  const works = "a[href], button, input, select, textarea, summary, form, [hx-trigger]";
  const acts = "[data-opens], [data-copies], [data-theme-choice], [hx-get], [hx-post]";
  for (const one of document.querySelectorAll(acts)) {
    if (!one.matches(works)) wrong.push(`no key reaches ${one.outerHTML.slice(0, 80)}`);
  }
  for (const one of document.querySelectorAll("form[method=post]")) {
    if (!one.querySelector("button, [type=submit]")) wrong.push(`nothing sends ${one.action}`);
  }
  for (const one of document.querySelectorAll("[id]")) {
    if (document.querySelectorAll(`#${CSS.escape(one.id)}`).length > 1) wrong.push(`twice: #${one.id}`);
  }
  return wrong;
}"""


#: Where the focus is: whether it is on the screen and marked, and its place in the page.
SEEN = """() => {
  const one = document.activeElement;
  const box = one.getBoundingClientRect(), style = getComputedStyle(one);
  const ring = (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2) || style.boxShadow !== "none";
  return {
    seen: ring && box.width > 0 && box.height > 0 && box.bottom > 0 && box.top < innerHeight,
    place: [...document.querySelectorAll("*")].indexOf(one),
    html: one.outerHTML.slice(0, 120),
  };
}"""


#: A desktop, the same at 200 % (half as much fits), and phones; a page that stands on one may break on the next.
WIDTHS = {1280: 800, 640: 400, 390: 800, 320: 800}


def look(page, site: str, paths: list[str]) -> list[str]:
    said, wrong = complaints_of(page), []
    for path in paths:
        answer = page.goto(site + path)
        if answer.status != ANSWERS.get(path, 200):
            wrong.append(f"{path} answers {answer.status}")
        for width, height in WIDTHS.items():
            page.set_viewport_size({"width": width, "height": height})
            if page.evaluate("document.documentElement.scrollWidth") > width:
                wrong.append(f"{path} scrolls sideways at {width} px")
            if width in (1280, 390):  # in between, what is shown is the same
                wrong += [f"{path} at {width} px: {what}" for what in page.evaluate(LOOK)]
        wrong += unless_said(said, path)
    return wrong


def test_every_page_stands_on_a_desktop_and_on_a_phone(site, browser, console):
    context = browser.new_context()
    page = context.new_page()

    wrong = look(page, site, PUBLIC)
    sign_in(page, site, ADMIN)
    wrong += look(page, site, console)

    context.close()
    assert wrong == []


def test_every_page_works_without_javascript(site, browser, console):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()

    sign_in(page, site, ADMIN)
    statuses = {path: page.goto(site + path).status for path in [*console, *PUBLIC]}

    context.close()
    assert {path: one for path, one in statuses.items() if one != 200} == ANSWERS


def test_work_is_done_without_javascript(site, browser):
    """Forms are refused in words and sent, menus open, lists are searched and sorted, and one signs out."""
    context = browser.new_context(java_script_enabled=False, viewport={"width": 390, "height": 800})
    page = context.new_page()
    sign_in(page, site, ADMIN)

    page.goto(f"{site}/console/customers/new/")
    for summary in page.locator("main details:not([open]) > summary").all():
        summary.click()
    page.fill("input[name=name]", "No Scripts Ltd")
    page.select_option("select[name=kind]", "business")
    page.fill("input[name=time_zone]", "Nowhere/Else")
    page.locator("main form .button-primary").click()
    assert page.locator("[aria-invalid=true]").get_attribute("name") == "time_zone"
    page.fill("input[name=time_zone]", "Europe/Rome")
    page.locator("main form .button-primary").click()
    assert page.locator("h1").inner_text() == "No Scripts Ltd"

    page.goto(f"{site}/console/customers/?sort=-name")
    page.fill("main input[name=q]", "scripts")
    page.press("main input[name=q]", "Enter")
    assert page.locator("main tbody tr").count() == 1
    page.get_by_role("link", name="No Scripts Ltd").click()
    page.locator("summary", has_text="Archive").click()
    page.get_by_role("button", name="Archive it").click()
    assert "Archived" in page.locator("main").inner_text()

    page.locator(".menu > summary").click()
    page.get_by_role("button", name="Sign out").click()
    assert page.goto(f"{site}/console/people/").url.startswith(f"{site}/sign-in/")
    context.close()


def test_after_signing_out_the_way_back_shows_nothing(site, browser):
    context = browser.new_context()
    page = context.new_page()
    sign_in(page, site, LEAD)
    page.goto(f"{site}/console/customers/")
    page.locator(".menu > summary").click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in/**")

    page.go_back()

    assert "Harbour Books" not in page.content()
    kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
    assert "Harbour Books" not in kept
    context.close()


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
    while "order of that evening" not in reader.inner_text("body") and time.monotonic() < end:
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


def test_the_keyboard_sees_where_it_is_and_leaves_what_it_opened(site, browser):
    context = browser.new_context(
        viewport={"width": 1280, "height": 800}, reduced_motion="reduce", color_scheme="dark"
    )
    page = context.new_page()
    sign_in(page, site, ADMIN)
    page.goto(f"{site}/console/customers/harbour-books/")

    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip-link"
    unseen, places = [], []
    for _ in range(30):
        page.keyboard.press("Tab")
        one = page.evaluate(SEEN)
        if one["html"].startswith("<body"):
            break
        places.append(one["place"])
        if not one["seen"]:
            unseen.append(one["html"])
    assert unseen == []
    assert len(places) > 15
    assert places == sorted(places), "the keyboard goes another way than the page reads"

    page.goto(f"{site}/console/customers/harbour-books/")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.locator(".help-link").focus()
    page.keyboard.press("Enter")
    for _ in range(4):
        page.keyboard.press("Tab")
        assert page.evaluate(
            "document.activeElement === document.body || !!document.activeElement.closest('dialog[open]')"
        )
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0
    assert "help-link" in page.evaluate("document.activeElement.className")
    moves = page.evaluate(
        "[...document.querySelectorAll('*')].map((one) => getComputedStyle(one))"
        ".filter((one) => parseFloat(one.transitionDuration) || one.animationName !== 'none').length"
    )
    assert moves == 0
    context.close()


def test_a_word_that_turns_the_line_round_turns_only_itself(site, browser):
    """A stored right-to-left override ends where its element ends."""
    context = browser.new_context()
    page = context.new_page()
    sign_in(page, site, ADMIN)
    page.goto(f"{site}/console/style/")

    turned = page.evaluate("""() =>
      [...document.querySelectorAll("main :is(a, td, th, li, dd, h1, strong, small, span, code)")]
      .filter((one) => getComputedStyle(one).display === "inline")
      .filter((one) => getComputedStyle(one).unicodeBidi === "normal")
      .map((one) => one.outerHTML.slice(0, 80))""")

    context.close()
    assert turned == []


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
    charts = page.locator(".chart-frame").count()
    page.locator(".chart-frame .chart-wide").nth(charts - 1).wait_for(timeout=60_000)

    assert charts >= 4
    assert page.locator(".chart-wide:visible").count() == charts
    assert page.locator(".chart-narrow:visible").count() == 0
    context.close()
