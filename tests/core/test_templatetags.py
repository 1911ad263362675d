"""How numbers, times, states and stored text read."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product
from pathlib import Path

import pytest
from django.conf import settings
from django.core.paginator import Paginator
from django.template import Context, Template
from django.template.loader import render_to_string
from django.test import RequestFactory
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from apps.core.templatetags import portal
from apps.core.views import style

NOW = datetime(2026, 11, 22, 10, 31, tzinfo=UTC)
CSS = Path(settings.BASE_DIR) / "static" / "css"


def render(source, **context):
    return Template("{% load portal %}" + source).render(Context(context)).strip()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1390, "1,390"),
        (0, "0"),
        (-1200, "\u22121,200"),
        (Decimal(1234567), "1,234,567"),
        (None, "cannot tell"),
        (float("nan"), "cannot tell"),
        (float("inf"), "cannot tell"),
        ("many", "cannot tell"),
        (True, "cannot tell"),
    ],
)
def test_number(value, shown):
    assert portal.number(value) == shown


def test_a_cell_that_cannot_be_told_is_hatched():
    assert portal.told(0) == "0"
    assert portal.told(None) == '<span class="cannot-tell">cannot tell</span>'


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0 %"),
        (0.31, "31 %"),
        (1, "100 %"),
        (0.004, "0.4 %"),
        (0.995, "99.5 %"),
        (0.00001, "under 0.1 %"),
        (0.99999, "over 99.9 %"),
        (None, "cannot tell"),
    ],
)
def test_percent_says_none_and_all_only_when_it_is_so(value, shown):
    assert portal.percent(value).replace("\u00a0", " ") == shown


@given(st.floats(min_value=0, max_value=1, exclude_min=True, exclude_max=True))
def test_a_share_between_is_never_none_nor_all(value):
    assert portal.percent(value) not in {"0\u00a0%", "100\u00a0%"}


def test_share_of_nothing_cannot_be_told():
    assert portal.share(0, 0) == "cannot tell"
    assert portal.share(None, 5) == "cannot tell"
    assert portal.share(32, 412).replace("\u00a0", " ") == "8 %"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"estimate": 240, "low": 180, "high": 310}, "about 240, between 180 and 310"),
        ({"estimate": 240}, "about 240"),
        ({"estimate": 7, "low": 7, "high": 7}, "7"),
        ({"cannot_tell": "no earlier weeks"}, "cannot tell"),
        (None, "cannot tell"),
    ],
)
def test_interval(value, shown):
    assert portal.interval(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (48, "48 s"),
        (660, "11 min"),
        (4800, "1 h 20 min"),
        (3600, "1 h"),
        (40000, "11 h"),
        (260000, "3 days"),
        (None, "cannot tell"),
    ],
)
def test_duration(seconds, shown):
    assert portal.duration(seconds).replace("\u00a0", " ") == shown


def test_relative_times_carry_their_moment():
    html = portal.ago(NOW - timedelta(minutes=4), NOW)

    assert 'datetime="2026-11-22T10:27:00Z"' in html
    assert 'title="22 Nov 2026, 10:27 UTC"' in html
    assert "4\u00a0min ago" in html
    assert "in 11\u00a0min" in portal.until(NOW + timedelta(minutes=11), NOW)
    assert "4\u00a0min overdue" in portal.until(NOW - timedelta(minutes=4), NOW)
    assert "27\u00a0min<" in portal.since(NOW - timedelta(minutes=27), NOW)
    assert portal.ago(None, NOW) == "cannot tell"


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ('"full"', "22 Nov 2026, 10:31 UTC"),
        ('"short"', "22 Nov, 10:31 UTC"),
        ('"clock"', "10:31 UTC"),
        ('"bare"', "10:31"),
        ('"day"', "22 November 2026"),
        ('"clock" zone="Europe/Berlin"', "11:31 CET · 10:31 UTC"),
        ('"clock" zone="Pacific/Auckland"', "23:31 NZDT · 10:31 UTC"),
        ('"short" zone="Nowhere/Such"', "22 Nov, 10:31 UTC"),
        ('"short" zone="../etc/passwd"', "22 Nov, 10:31 UTC"),
    ],
)
def test_when(words, shown):
    html = render("{% when at " + words + " %}", at=NOW)

    assert f">{shown}</time>" in html
    assert 'datetime="2026-11-22T10:31:00Z"' in html


def test_when_names_the_day_of_each_zone_where_they_differ():
    late = datetime(2026, 11, 22, 23, 30, tzinfo=UTC)
    with timezone.override("Europe/Berlin"):
        assert ">23 Nov, 00:30 CET · 22 Nov 23:30 UTC<" in render('{% when at "short" %}', at=late)


@pytest.mark.parametrize(
    ("state", "tone", "words"),
    [
        ("investigating", "failing", "Investigating"),
        ("partly_hit", "slowed", "Partly hit"),
        ("cannot_tell", "unknown", "Cannot tell"),
        (None, "unknown", "Unknown"),
        ("draft", "neutral", "Draft"),
        ("kept", "fine", "Kept"),
        ("maintenance", "maintenance", "Maintenance"),
        ("something new", "neutral", "Something new"),
    ],
)
def test_states(state, tone, words):
    badge = render('{% include "components/badge.html" with kind=state only %}', state=state)

    assert f'class="badge is-{tone}"' in badge
    assert badge.endswith(f"{words}</span>")


def test_every_icon_that_a_state_may_ask_for_is_in_the_sprite():
    sprite = render_to_string("components/sprite.html")
    wanted = {*portal.TONES.values(), *portal.ICONS.values(), "neutral"}

    assert wanted <= set(re.findall(r'symbol id="i-(\w+)"', sprite))


@pytest.mark.parametrize(
    "stored",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "![x](https://evil.example/pixel.png)",
        "[click](javascript:alert(1))",
        "[click](data:text/html;base64,PHNjcmlwdD4=)",
        '[x](https://a.example "onmouseover=alert(1)")',
        "<a href='x' style='position:fixed'>x</a>",
        "<svg/onload=alert(1)>",
        "`<iframe src=//evil>`",
        "| a | b |\n|---|---|\n| <style>*{}</style> | x |",
    ],
)
def test_stored_markup_is_inert(stored):
    html = portal.markdown(stored)
    tags = re.findall(r"<\s*/?\s*(\w+)", html)

    assert not set(tags) & {"script", "img", "iframe", "svg", "style", "object", "form", "input"}
    for tag in re.findall(r"<[^>]+>", html):
        assert not re.search(r"\s(on\w+|style|class|id)=", re.sub(r'"[^"]*"', '""', tag))
    assert not re.search(r'href="(?!https?:|mailto:|tel:|/|#|x)', html)


def test_markdown_keeps_plain_text_and_lowers_headings():
    html = portal.markdown("# Try again\n\nWait **1 s**, see [this](https://docs.example.com).")

    assert "<h2>Try again</h2>" in html
    assert "<strong>1 s</strong>" in html
    assert 'rel="noopener noreferrer nofollow"' in html
    assert portal.markdown(None) == ""


@given(st.text())
def test_markdown_takes_any_text(text):
    assert "<script" not in portal.markdown(text)


def test_outcome_bar_is_whole_and_shows_what_is_rare():
    parts = portal.segments({"first_try": 1_000_000, "gave_up": 1, "cannot_tell": 0})

    assert [part.key for part in parts] == ["first_try", "gave_up"]
    assert sum(part.width for part in parts) == pytest.approx(100)
    assert parts[1].width > 0.7
    assert parts[1].share == pytest.approx(1 / 1_000_001)


@pytest.mark.parametrize("attempts", [None, "", {}, {"first_try": None}, {"first_try": 0}])
def test_outcome_bar_of_nothing_says_so(attempts):
    assert "None in this window" in render("{% outcome_bar attempts %}", attempts=attempts)


def test_outcome_bar_speaks():
    html = render('{% outcome_bar a what="checkouts" %}', a={"first_try": 3808, "gave_up": 32})

    assert 'aria-label="Of 3,840 checkouts: 3,808 first try, 32 gave up"' in html
    assert "style=" not in html


def test_sparkline_leaves_holes_where_nothing_is_known():
    html = render('{% sparkline v "Failures" %}', v=[1, 2, None, 4])

    assert html.count("<polyline") == 2
    assert "None" not in html
    assert render('{% sparkline v "Failures" %}', v=[]).count("<polyline") == 0


def test_navigation_hides_what_does_not_exist_and_marks_where_we_are(monkeypatch):
    monkeypatch.setattr(
        portal.frame,
        "NAVIGATION",
        (("Home", "login", ""), ("Nowhere", "no:such", ""), ("Keys", "login", "settings")),
    )
    request = RequestFactory().get("/sign-in/")

    items = portal.nav_items(Context({"request": request}))

    assert [(item.label, item.current) for item in items] == [("Home", True)]


@pytest.mark.parametrize(
    ("path", "current"),
    [
        ("/console/", "Today"),
        ("/console/settings/", "Settings"),
        ("/console/people/7/", "Settings"),
        ("/console/keys/issue/", "Settings"),
        ("/console/audit/", "Settings"),
        ("/console/rules/new/", "Settings"),
        ("/console/services/", "Settings"),
        ("/console/customers/import/", "Customers"),
        ("/console/account/", None),
    ],
)
def test_what_only_settings_leads_to_is_marked_as_settings(path, current):
    items = portal.nav_items(Context({"request": RequestFactory().get(path)}))

    assert [item.label for item in items if item.current] == ([current] if current else [])


@pytest.mark.parametrize(
    ("cookie", "attribute"),
    [
        ("dark", ' data-theme="dark"'),
        ("light", ' data-theme="light"'),
        ('"><script>', ""),
        ("", ""),
    ],
)
def test_theme_takes_only_what_exists(cookie, attribute):
    request = RequestFactory().get("/")
    request.COOKIES["theme"] = cookie

    assert portal.theme(Context({"request": request})) == attribute


@pytest.mark.parametrize(
    ("at", "shown"),
    [(1, [1, 2, None, 10]), (5, [1, None, 4, 5, 6, None, 10]), (10, [1, None, 9, 10])],
)
def test_pages(at, shown):
    assert portal.pages(Paginator(range(100), 10).page(at)) == shown


def test_a_dangerous_button_posts_with_a_token():
    html = Template(
        '{% load portal %}{% danger "Withdraw" "/x/" confirm="Withdraw it" %}<p>Why</p>{% enddanger %}'
    ).render(Context({"csrf_token": "t0ken"}))

    assert "t0ken" in html
    assert "<p>Why</p>" in html
    assert 'action="/x/"' in html


def test_blocks_escape_what_they_are_given():
    html = render("{% panel t note=t %}{{ t }}{% endpanel %}", t="<b>")

    assert "<b>" not in html
    assert html.count("&lt;b&gt;") == 3


@pytest.fixture
def style_page(settings, rf):
    settings.MIDDLEWARE = []
    return style(rf.get("/console/style/")).content.decode()


def test_style_page_shows_every_component_without_inline_code(style_page):
    page = re.sub(r"<pre.*?</pre>", "", style_page, flags=re.DOTALL)

    assert not re.search(r"<[^>]+\s(style|on\w+)=", page)
    assert not re.search(r"<script(?![^>]*\ssrc=)", page)
    assert "<style" not in page
    identifiers = re.findall(r'\sid="([^"]+)"', page)
    assert len(identifiers) == len(set(identifiers))


def _pairs():
    css = (CSS / "tokens.css").read_text()
    main, contrast = css.split("@media (prefers-contrast: more)")
    find = re.compile(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)")
    normal = {name: (light, dark) for name, light, dark in find.findall(main)}
    return {
        "normal": normal,
        "more": {**normal, **{name: (light, dark) for name, light, dark in find.findall(contrast)}},
    }


def _luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def _contrast(one, other):
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(("mode", "dark"), list(product(["normal", "more"], [0, 1])))
def test_contrast(mode, dark):
    tokens = {name: pair[dark] for name, pair in _pairs()[mode].items()}
    grounds = [tokens[name] for name in ("canvas", "surface", "sunken")]

    for name in ("muted", "accent", "fine", "slowed", "failing", "unknown", "maintenance"):
        own = tokens.get(f"{name}-soft", tokens["canvas"])
        assert min(_contrast(tokens[name], ground) for ground in [*grounds, own]) >= 4.5, name
    softs = [value for name, value in tokens.items() if name.endswith("-soft")]
    assert min(_contrast(tokens["text"], ground) for ground in [*grounds, *softs]) >= 7
    assert min(_contrast(tokens["muted"], ground) for ground in softs) >= 4.5
    assert _contrast(tokens["accent-text"], tokens["accent"]) >= 4.5
    assert min(_contrast(tokens["line-strong"], ground) for ground in grounds[:2]) >= 3


def test_public_style_sheet_carries_the_same_tokens_and_stays_small():
    tokens = (CSS / "tokens.css").read_text()
    status = (CSS / "status.css").read_text()

    assert tokens[tokens.index("@layer tokens {") :].strip() in status
    assert "@import" not in status
    assert len(status) + len(render_to_string("base_public.html")) < 20_000


def test_the_page_of_a_crash_needs_nothing():
    assert "We could not show this page" in render_to_string("500.html")
