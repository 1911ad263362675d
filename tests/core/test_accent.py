"""One accent per deployment: readable everywhere, whatever colour was chosen."""

import re

import pytest
from django.core.checks import run_checks
from hypothesis import given
from hypothesis import strategies as st

from apps.core.accent import DARK, LIGHT, accent_of, contrast, parse

channel = st.integers(0, 255).map(lambda n: n / 255)


@given(st.tuples(channel, channel, channel))
def test_any_colour_becomes_one_that_reads(colour):
    accent = accent_of(colour)

    for shade, grounds, least in (
        (accent.light, LIGHT, 4.5),
        (accent.dark, DARK, 4.5),
        (accent.light_more, LIGHT, 7),
        (accent.dark_more, DARK, 7),
    ):
        for ground in (*grounds, shade.soft, shade.text):
            assert contrast(shade.accent, ground) >= least


def test_the_grounds_are_those_of_the_tokens(settings):
    css = (settings.BASE_DIR / "static/css/tokens.css").read_text()
    for name, light, dark in zip(("canvas", "surface", "sunken"), LIGHT, DARK, strict=True):
        assert f"--{name}: light-dark({light}, {dark});" in css


@pytest.mark.parametrize(
    ("text", "same"),
    [("#25b", "#2255bb"), ("rgb(34, 85, 187)", "#2255bb"), ("hsl(220 69.2% 43.3%)", "#2255bb")],
)
def test_colours_may_be_written_in_three_ways(text, same):
    assert [round(part * 255) for part in parse(text)] == [round(p * 255) for p in parse(same)]


@pytest.mark.parametrize(
    "text", ["red;}", "#12", "rgb(300 0 0)", "url(x)", "#fff}*{display:none", "hsl(999 1% 1%)", "²"]
)
def test_what_is_no_colour_is_refused_and_styles_nothing(client, settings, text):
    settings.PORTAL_ACCENT = text

    assert [found.id for found in run_checks() if found.id.startswith("core.")] == ["core.E001"]
    assert client.get("/accent.css").text == ""


def test_a_colour_that_reads_nowhere_is_said_to_be_adjusted(settings):
    settings.PORTAL_ACCENT = "#ffee00"  # reads on dark
    assert not [found for found in run_checks() if found.id == "core.I001"]
    settings.PORTAL_ACCENT = "#777777"  # reads on neither
    assert [found for found in run_checks() if found.id == "core.I001"]


def test_every_page_links_the_accent_by_its_hash(client, settings):
    assert "accent.css" not in client.get("/no-such-page").text
    settings.PORTAL_ACCENT = "#0a6d4a"

    page = client.get("/no-such-page").text
    address = re.search(r'href="(/accent\.css\?v=\w{12})"', page)[1]
    answer = client.get(address)

    assert answer["Content-Type"] == "text/css; charset=utf-8"
    assert "max-age=31536000" in answer["Cache-Control"]
    assert "--accent:light-dark(#0a6d4a," in answer.text


def test_the_status_page_wears_it_too(settings):
    from apps.guidance import errors
    from apps.statuspage import pages

    settings.PORTAL_ACCENT = "#0a6d4a"
    for cached in (pages.stylesheet, errors.style):
        cached.cache_clear()
    try:
        assert b"--accent:light-dark(#0a6d4a," in pages.stylesheet()
        assert "--accent:light-dark(#0a6d4a," in errors.style()
    finally:
        for cached in (pages.stylesheet, errors.style):
            cached.cache_clear()
