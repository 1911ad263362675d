"""The console over a base that grows: no page asks the database more often for it."""

import pytest

from apps.customers.models import Customer
from apps.outreach.benches import LEFT_OUT, console
from tests.access.world import routes

pytestmark = pytest.mark.django_db


def test_no_page_asks_more_for_a_larger_base_and_none_is_passed_over():
    rows = list(console(customers=120, services=60, incidents=60, seed=1, quick=True))

    assert not [(row.row, row.ours, row.baseline, row.note) for row in rows if row.ok is False]
    asked = {row.row.removesuffix(": queries") for row in rows if row.row.endswith(": queries")}
    (posts,) = (row.note.split() for row in rows if row.row == "addresses that only take POST")
    pages = {f"/{route}" for route in routes() if route.startswith("console/")}
    assert pages == (asked | set(posts) | set(LEFT_OUT)) & pages
    assert not asked & set(posts)
    assert not Customer.objects.exists()  # it took its crowd away again
