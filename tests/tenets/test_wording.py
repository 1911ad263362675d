"""What changed between versions, in words: nothing for the same, one sentence for one change."""

from datetime import date
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from apps.accounts.models import User
from apps.catalog.models import Journey, Operation
from apps.tenets.content import SAID, content_of
from apps.tenets.models import Clause, TenetVersion
from apps.tenets.wording import difference
from tests.tenets.test_openslo import BUDGETS, INVARIANTS, TIMED

JOURNEYS = [
    None,
    Journey(pk=1, name="Purchase", slug="purchase"),
    Journey(pk=2, name="Refund", slug="refund"),
]
OPERATIONS = [None, Operation(pk=1, name="POST /checkout")]
OTHERS = {
    "promise": "Other words.",
    "rationale": "Other reasons.",
    "audience": "public",
    "owner": User(pk=1, name="Ada"),
    "review_by": date(2031, 1, 1),
    "review_every_months": 3,
}


def version(drafts, **columns):
    made = TenetVersion(pk=1, promise="Orders go through.", **columns)
    clauses = [
        Clause(
            position=position,
            journey=JOURNEYS[draft.get("journey", 0)],
            operation=OPERATIONS[draft.get("operation", 0)],
            **{name: draft[name] for name in SAID if name in draft},
        )
        for position, draft in enumerate(drafts, start=1)
    ]
    made._prefetched_objects_cache = {"clauses": clauses, "customers": []}
    return made


def changes(old, new):
    """The sentences of a difference; a text that was replaced is one, in two lines."""
    lines = [line for line in difference(old, new, names=True) if line.kind != "same"]
    removed = [line for line in lines if line.kind == "removed"]
    added = [line for line in lines if line.kind == "added"]
    return len(lines) - min(len(removed), len(added))


SUBJECTS = st.fixed_dictionaries({"journey": st.integers(0, 2), "operation": st.integers(0, 1)})
CLAUSES = st.tuples(st.one_of(BUDGETS, INVARIANTS, TIMED), SUBJECTS).map(
    lambda two: two[0] | two[1]
)


@given(st.lists(CLAUSES, max_size=3))
@settings(max_examples=30, deadline=None)
def test_nothing_changed_says_nothing(drafts):
    assert changes(version(drafts), version(drafts)) == 0


#: What changes alone, and what only has a meaning together.
TOGETHER = [
    ("op", "value", "unit", "threshold_ms"),
    ("window_count", "window_unit", "window_zone", "window_start"),
    ("budgeting", "slice_target", "slice_minutes"),
    *((name,) for name in ("kind", "dimension", "text", "target", "max_count", "min_events")),
    *((name,) for name in ("tolerance", "consequence", "journey", "operation")),
]


@given(old=CLAUSES, other=CLAUSES, data=st.data())
@settings(max_examples=60, deadline=None)
def test_one_change_of_a_clause_is_one_sentence(old, other, data):
    names = data.draw(st.sampled_from(TOGETHER))
    new = {name: value for name, value in old.items() if name not in names}
    new |= {name: other[name] for name in names if name in other}
    before, after = version([old]), version([new])
    changed = content_of(before) != content_of(after)
    assert changes(before, after) == (1 if changed else 0), (names, old, new)
    if changed:
        [line] = [one for one in difference(before, after) if one.kind == "changed"]
        assert "→" in line.text


def test_one_change_of_a_version_is_one_sentence():
    for name, value in OTHERS.items():
        changed = version([])
        setattr(changed, name, value)
        assert changes(version([]), changed) == 1, name


def test_order_and_small_parts_of_a_second_are_said():
    first, second = {"text": "a", "target": Decimal("0.5")}, {"text": "b", "target": Decimal("0.6")}
    assert changes(version([first, second]), version([second, first])) == 1
    assert changes(version([first, second]), version([second])) == 1
    assert changes(version([second]), version([first, second])) == 1
    slow = [{**first, "threshold_ms": ms} for ms in (1_234_567, 1_234_568)]
    assert changes(version(slow[:1]), version(slow[1:])) == 1
