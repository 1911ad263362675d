"""Charts: the numbers as a table, the drawing in the page's colours, and what happens while there is none."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.template import Context, Template

from apps.accounts.models import Role
from apps.core import specimens
from apps.core.charts import MOST_POINTS, Band, bars, data, line, shelf, stacked, whiskers
from apps.core.charts.drawing import INK, spread, themed
from apps.core.tasks import sweep
from tests.factories import make_user

AT = datetime(2026, 11, 22, 10, tzinfo=UTC)
MARKUP = '<script>alert(1)</script>"&'


def show(chart):
    return Template("{% load portal %}{% chart chart %}").render(Context({"chart": chart}))


def three(*values):
    return [(AT + timedelta(minutes=n), value) for n, value in enumerate(values)]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Every specimen, drawn twice by a process of its own."""
    from django.test import override_settings

    found = []
    for folder in ("first", "again"):
        with override_settings(CHARTS_DIR=tmp_path_factory.mktemp(folder), PORTAL_NUDGES=False):
            charts = [*specimens.charts(), line(MARKUP, three(1, 2, 3), label=MARKUP)]
            for chart in charts:
                shelf.ask(chart)
            assert shelf.draw_asked() == len(charts)
            found.append([shelf.find(chart.key) for chart in charts])
    return found


def test_the_same_numbers_give_the_same_bytes(drawn):
    assert drawn[0] == drawn[1]
    assert all(drawn[0])


def test_a_drawing_has_no_colour_font_or_style_of_its_own(drawn):
    for svg in drawn[0]:
        assert not re.search(r"\s(style|font-family|on\w+|href)=", svg)
        assert not set(re.findall(r'(?:fill|stroke)="([^"]+)"', svg)) - {"none"}
        assert "<script" not in svg


def test_a_drawing_says_what_it_shows_and_its_text_is_text(drawn):
    for svg, chart in zip(drawn[0][:-1], specimens.charts(), strict=True):
        assert svg.count("<svg") == svg.count('role="img"') == 2
        assert f"<title>{chart.title}</title><desc>{chart.summary}</desc>" in svg
        assert "<text" in svg
    assert "&lt;script&gt;" in drawn[0][-1]


def test_labels_stand_on_the_lines_and_the_incident_is_shaded(drawn):
    over_time, outcomes, _, intervals, steps, customers, returns, worst, _ = drawn[0]

    assert ">usual</text>" in over_time
    assert ">attempts</text>" in over_time
    assert 'class="fill-window"' in over_time
    assert 'class="fill-band"' in over_time
    assert "fill-cannot_tell" in over_time  # the four minutes without numbers
    assert ">gave up</text>" in outcomes
    assert "fill-gave_up" in outcomes
    assert ">240 (180 to 310)</text>" in intervals
    assert ">514 of 1,154 got through; usually about 1,390 tried</text>" in steps
    assert ">Acme</text>" in customers
    assert ">people like them in earlier weeks</text>" in returns
    assert ">tenet: 99 %</text>" in worst
    assert ">15 min</text>" in worst
    assert ">declared</text>" in outcomes
    assert "fill-around" in outcomes


def test_every_class_of_a_drawing_has_a_colour(settings, drawn):
    css = (settings.BASE_DIR / "static/css/components.css").read_text()
    for name in {
        name for svg in drawn[0] for name in re.findall(r"(?:fill|stroke)-\w+(?=[ \"])", svg)
    }:
        if name not in {"fill-opacity", "stroke-width", "stroke-dasharray"}:
            assert f".{name} " in css, name


def test_until_it_is_drawn_the_numbers_are_the_chart(settings):
    chart = line("Attempts", three(3, None, 1500), label="attempts")

    page = show(chart)

    assert "<details" in page
    assert " open>" in page
    assert '<td class="number">1,500</td>' in page
    assert "cannot-tell" in page
    assert "being drawn" in page
    assert shelf.is_asked(chart.key)

    sweep()
    page = show(chart)

    assert not shelf.is_asked(chart.key)
    assert "<svg" in page
    assert " open>" not in page
    assert "1,500" in page


@pytest.mark.django_db
def test_a_page_that_waits_is_told_when_it_is_drawn(client):
    chart = bars("Gave up", [("Pay", 4)], what="people")
    client.force_login(make_user("Vic", role=Role.VIEWER))
    address = f"/console/charts/{chart.key}/"

    assert client.get(address).status_code == 404
    shelf.ask(chart)
    assert client.get(address).status_code == 204
    shelf.draw_asked()
    assert "<svg" in client.get(address).text
    for wrong in ("..%2f..%2fsecret", "x", "A" * 64, "0" * 63):
        assert client.get(f"/console/charts/{wrong}/").status_code == 404


def test_a_chart_that_cannot_be_drawn_in_time_is_given_up(settings):
    chart = bars("Gave up", [("Pay", 4)], what="people")
    shelf.ask(chart)

    assert shelf.draw_asked(seconds=0.01) == 0

    assert shelf.find(chart.key) == ""
    assert "It could not be drawn" in show(chart)
    assert '<td class="number">4</td>' in show(chart)


def test_too_much_and_nothing_are_said(settings):
    many = line("Much", three(*range(MOST_POINTS + 1)), label="requests")
    nothing = stacked("Nothing", [(AT, {})])

    assert "Too many numbers" in show(many)
    assert "no numbers to draw" in show(nothing)
    assert not shelf.is_asked(many.key)
    assert not shelf.is_asked(nothing.key)


def test_what_cannot_be_told_is_no_zero():
    chart = bars("Gave up", [("Pay", None)], what="people")
    interval = whiskers("Lost", [("Shop", None, None, None)], what="people")

    assert chart.rows == [["Pay", "cannot tell"]]
    assert "Cannot tell" in chart.summary
    assert interval.rows == [["Shop", "cannot tell", "cannot tell", "cannot tell"]]


def test_another_number_is_another_chart(monkeypatch):
    one, other = (bars("Gave up", [("Pay", n)], what="people") for n in (4, 5))
    before = one.key

    assert one.key != other.key
    monkeypatch.setattr(data, "VERSION", data.VERSION + 1)
    assert one.key != before


def test_the_oldest_drawings_go(settings, monkeypatch):
    monkeypatch.setattr(shelf, "MOST_KEPT", 2)
    for n in range(4):
        shelf.ask(bars("Gave up", [("Pay", n)], what="people"))
    shelf.draw_asked()

    assert len(list(settings.CHARTS_DIR.glob("*.svg"))) == 2


def test_labels_are_pushed_apart():
    assert spread([1, 1.5, 9], 2) == [1, 3, 9]


def test_stand_ins_become_classes():
    path = f'<path d="M0" fill="{INK["line"]}" style="x" onload="y"/>'
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9">{path}</svg>'

    assert '<path d="M0" class="fill-line"' in themed(svg, size="wide", title="t", summary="s")


def test_bands_are_said_in_the_table():
    chart = line("A", three(1, 2), label="attempts", band=[Band(AT, 0, 4)])

    assert chart.rows[0][2] == "0 to 4"
    assert chart.rows[1][2] == "cannot tell"
