"""The figures of an import: what they promise holds in small."""

import pytest

from apps.customers.benches import customers
from apps.customers.models import Customer

pytestmark = pytest.mark.django_db


def test_the_good_lines_are_in_each_bad_one_is_named_and_again_nothing_changes():
    rows = {row.row: row for row in customers(customers=40, seed=1, quick=True)}

    assert [name for name, row in rows.items() if row.ok is False] == []
    assert {"lines named as bad", "new", "changed by it", "the file", "the same again"} < set(rows)
    assert not Customer.objects.exists()
