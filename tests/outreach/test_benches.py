"""The console over a base that grows: no page asks the database more often for it."""

import pytest

from apps.outreach.benches import console

pytestmark = pytest.mark.django_db


def test_no_page_asks_more_for_a_larger_base():
    rows = list(console(customers=120, services=60, incidents=60, seed=1, quick=True))
    asked = {row.row: row for row in rows if row.row.endswith(": queries")}
    assert {
        "/console/: queries",
        "/console/customers/: queries",
        "/console/customers/<slug:slug>/: queries",
        "/console/incidents/: queries",
        "/console/incidents/<int:pk>/: queries",
        "/console/outreach/: queries",
        "/console/tenets/: queries",
    } <= set(asked)
    assert not [(row.row, row.ours, row.baseline) for row in asked.values() if not row.ok]
