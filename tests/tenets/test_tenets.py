# ruff: noqa: S608  (statements are put together of our own words)
"""Promises: writing, reviewing, activating, and that what was promised cannot be changed."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from decimal import Decimal
from threading import Barrier

import pytest
from django.db import IntegrityError, connection, transaction
from django.urls import reverse
from psycopg import errors

from apps.accounts.models import AuditEvent, Role
from apps.catalog.models import Journey
from apps.tenets import actions, queries
from apps.tenets.content import sha256_of
from apps.tenets.guide import QUESTIONS, Answer, promise_of
from apps.tenets.models import Clause, Tenet, TenetVersion, VersionState
from apps.tenets.wording import difference
from tests.factories import (
    NOW,
    make_customer,
    make_journey,
    make_operation,
    make_service,
    make_snapshot,
    make_user,
)

pytestmark = pytest.mark.django_db

MARKUP = "<script>alert(1)</script>"
LATER = NOW + timedelta(days=30)


@pytest.fixture
def alice():
    return make_user()


@pytest.fixture
def ada():
    return make_user("Ada")


@pytest.fixture
def tenet(alice):
    return actions.create_tenet(
        slug="orders", name="Orders", service=make_service(), kind="business", user=alice, now=NOW
    )


def budget(text="Orders that go through", target="0.999", **columns):
    return actions.ClauseDraft(text=text, target=Decimal(target), **columns)


def never(text="An order is never lost"):
    return actions.ClauseDraft(text=text, kind="invariant", dimension="loss")


def drafted(tenet, user, **columns):
    return actions.draft_version(
        **{
            "tenet": tenet,
            "promise": "Orders go through.",
            "clauses": [budget()],
            "user": user,
            "now": NOW,
            **columns,
        }
    )


def activated(tenet, user, approver, now=NOW, **columns):
    version = drafted(tenet, user, **columns)
    actions.submit_version(version=version, user=user, now=now)
    return actions.activate(version=version, approver=approver, now=now)


def test_a_version_comes_to_count(tenet, alice, ada):
    version = activated(tenet, alice, ada, clauses=[budget(), never()])
    assert (version.number, version.state, version.valid_from) == (1, VersionState.ACTIVE, NOW)
    assert (version.author, version.approver) == (alice, ada)
    assert version.clauses.count() == 2
    assert AuditEvent.objects.filter(action="tenet.activate", user=ada).exists()


def test_the_one_before_ends_at_the_same_instant(tenet, alice, ada):
    first = activated(tenet, alice, ada)
    second = activated(tenet, alice, ada, now=LATER, promise="Better.")
    first.refresh_from_db()
    assert (first.state, first.valid_to) == (VersionState.SUPERSEDED, LATER)
    assert (second.number, second.valid_from, second.valid_to) == (2, LATER, None)
    assert Tenet.objects.get().versions.filter(state=VersionState.ACTIVE).count() == 1


def test_nobody_approves_their_own(tenet, alice, ada):
    version = drafted(tenet, alice)
    with pytest.raises(actions.UnableToActivate, match="only one in review"):
        actions.activate(version=version, approver=ada, now=NOW)
    actions.submit_version(version=version, user=alice, now=NOW)
    with pytest.raises(actions.UnableToActivate, match="somebody else"):
        actions.activate(version=version, approver=alice, now=NOW)
    with pytest.raises(actions.UnableToActivate, match="role"):
        actions.activate(version=version, approver=make_user("Ben", role=Role.LIAISON), now=NOW)


def test_what_is_in_review_stands_still(tenet, alice):
    version = drafted(tenet, alice)
    actions.submit_version(version=version, user=alice, now=NOW)
    with pytest.raises(actions.UnableToDraft, match="in review"):
        drafted(tenet, alice)
    with pytest.raises(actions.UnableToSubmit):
        actions.submit_version(version=version, user=alice, now=NOW)
    actions.return_version(version=version, user=alice, now=NOW)
    with pytest.raises(actions.UnableToSubmit):
        actions.return_version(version=version, user=alice, now=NOW)
    again = drafted(tenet, alice, promise="Other words.")
    assert (again.pk, again.promise) == (version.pk, "Other words.")


def test_withdrawing(tenet, alice, ada):
    version = activated(tenet, alice, ada)
    gone = actions.withdraw_version(version=version, user=ada, now=LATER)
    assert (gone.state, gone.valid_to) == (VersionState.WITHDRAWN, LATER)
    with pytest.raises(actions.UnableToWithdraw):
        actions.withdraw_version(version=version, user=ada, now=LATER)


@pytest.mark.parametrize(
    "columns",
    [
        {"promise": " "},
        {"review_by": NOW.date()},
        {"clauses": [budget(target="1")]},
        {"clauses": [budget(target="-0.1")]},
        {"clauses": [budget(), budget(text="")]},
        {"clauses": [actions.ClauseDraft(text="No target")]},
        {"clauses": [actions.ClauseDraft(text="x", kind="invariant", target=Decimal("0.5"))]},
        {"clauses": [budget(dimension="colour")]},
    ],
)
def test_refuses_to_draft(tenet, alice, columns):
    with pytest.raises(actions.UnableToDraft):
        drafted(tenet, alice, **columns)
    assert not TenetVersion.objects.exists()


def test_a_promise_needs_something_measurable(tenet, alice):
    with pytest.raises(actions.UnableToSubmit, match="measurable"):
        actions.submit_version(version=drafted(tenet, alice, clauses=[]), user=alice, now=NOW)


def test_refuses_a_taken_name_and_roles_that_may_not(tenet, alice):
    for user, columns in [
        (alice, {"slug": "orders"}),
        (alice, {"slug": "no spaces"}),
        (alice, {"kind": "pets"}),
        (make_user("Vera", role=Role.VIEWER), {}),
    ]:
        with pytest.raises(actions.UnableToCreate):
            actions.create_tenet(
                **{
                    "slug": "other",
                    "name": "Other",
                    "service": tenet.service,
                    "kind": "business",
                    "user": user,
                    "now": NOW,
                    **columns,
                }
            )


COLUMNS = "position, kind, dimension, text, max_count, window_count, min_events, budgeting"
ROW = "9, 'invariant', 'loss', 't', 0, 1, 1, 'occurrences', 'd', '', '', '', '', '', ''"
INSERT = (
    f"INSERT INTO tenets_clause (version_id, {COLUMNS}, window_unit, window_zone, window_start, op, unit,"
    f" tolerance, consequence) SELECT id, {ROW} FROM tenets_tenetversion WHERE state "
)
DRAFT = "(SELECT id FROM tenets_tenetversion WHERE state = 'draft')"
KEPT = "(SELECT id FROM tenets_tenetversion WHERE state = %s)"


@pytest.mark.parametrize("state", ["in_review", "active", "superseded", "withdrawn"])
@pytest.mark.parametrize(
    "sql",
    [
        f"UPDATE tenets_tenetversion SET promise = 'something easier' WHERE id = {KEPT}",
        f"UPDATE tenets_tenetversion SET content_sha256 = 'x' WHERE id = {KEPT}",
        f"UPDATE tenets_tenetversion SET audience = 'public' WHERE id = {KEPT}",
        f"UPDATE tenets_tenetversion SET tenet_id = tenet_id + 1 WHERE id = {KEPT}",
        f"UPDATE tenets_tenetversion SET valid_from = now() WHERE id = {KEPT}",
        f"DELETE FROM tenets_tenetversion WHERE id = {KEPT}",
        f"UPDATE tenets_clause SET target = 0.5 WHERE version_id = {KEPT}",
        f"DELETE FROM tenets_clause WHERE version_id = {KEPT}",
        f"UPDATE tenets_clause SET position = 8, version_id = {DRAFT} WHERE version_id = {KEPT}",
        f"UPDATE tenets_clause SET position = 8, version_id = {KEPT} WHERE version_id = {DRAFT}",
        INSERT + "= %s",
        f"DELETE FROM tenets_tenetversion_customers WHERE tenetversion_id = {KEPT}",
        (
            f"UPDATE tenets_tenetversion_customers SET tenetversion_id = {DRAFT}"
            f" WHERE tenetversion_id = {KEPT}"
        ),
        (
            "INSERT INTO tenets_tenetversion_customers (tenetversion_id, customer_id)"
            " SELECT v.id, c.id FROM tenets_tenetversion v, customers_customer c"
            f" WHERE c.slug = 'globex' AND v.id = {KEPT}"
        ),
        "UPDATE tenets_tenet SET kind = 'consumers' WHERE %s <> ''",
        "UPDATE tenets_tenet SET service_id = service_id + 1 WHERE %s <> ''",
        "TRUNCATE tenets_clause -- %s",
        "TRUNCATE tenets_tenetversion CASCADE -- %s",
        "TRUNCATE tenets_tenet CASCADE -- %s",
        "TRUNCATE tenets_tenetversion_customers -- %s",
    ],
)
def test_what_was_promised_cannot_be_changed_by_sql(tenet, alice, ada, state, sql):
    acme, _ = make_customer(), make_customer("Globex")
    named = {"audience": "named", "customers": [acme], "clauses": [budget()]}
    kept = drafted(tenet, alice, **named)
    actions.submit_version(version=kept, user=alice, now=NOW)
    if state != "in_review":
        actions.activate(version=kept, approver=ada, now=NOW)
    if state == "withdrawn":
        actions.withdraw_version(version=kept, user=ada, now=LATER)
    if state == "superseded":
        activated(tenet, alice, ada, now=LATER, **named)
    TenetVersion.objects.create(tenet=tenet, number=9, promise="Not yet.", author=alice)
    other = TenetVersion.objects.get(number=9)
    Clause.objects.create(version=other, position=1, dimension="error", text="t", target="0.5")
    assert kept.customers.count() == 1

    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # else TRUNCATE waits for the foreign keys
        with (
            pytest.raises(IntegrityError, match=r"append-only|only a draft's"),
            transaction.atomic(),
        ):
            cursor.execute(sql, [state])


ACTIVE = "(SELECT id FROM tenets_tenetversion WHERE state = 'active')"


@pytest.mark.parametrize(
    "sql",
    [
        (
            "INSERT INTO tenets_tenetversion SELECT * FROM tenets_tenetversion WHERE state = 'active'"
            " ON CONFLICT (id) DO UPDATE SET promise = 'easier'"
        ),
        (
            "MERGE INTO tenets_tenetversion t USING tenets_tenetversion s ON t.id = s.id"
            " WHEN MATCHED THEN UPDATE SET promise = 'easier'"
        ),
        (
            "MERGE INTO tenets_clause t USING tenets_clause s ON t.id = s.id"
            " WHEN MATCHED THEN DELETE"
        ),
        "WITH gone AS (DELETE FROM tenets_clause RETURNING id) SELECT * FROM gone",
        f"UPDATE tenets_clause c SET target = 0.1 FROM tenets_tenetversion v WHERE v.id = {ACTIVE}",
        "DELETE FROM tenets_tenet",
        "DELETE FROM catalog_service",
        "DELETE FROM catalog_journey",
        "DELETE FROM accounts_user WHERE name = 'Ada'",
        "DELETE FROM customers_customer",
        "UPDATE customers_customer SET id = id + 1000",
        "UPDATE tenets_tenet SET id = id + 1000",
        "UPDATE tenets_tenetversion SET state = 'draft'",
        "UPDATE tenets_tenetversion SET state = 'superseded', valid_to = now(), promise = 'x'",
        "DO $$ BEGIN UPDATE tenets_tenetversion SET number = 5; END $$",
    ],
)
def test_what_is_promised_stands_against_every_statement(tenet, alice, ada, sql):
    journey = make_journey(tenet.service, "Purchase", make_operation(tenet.service))
    version = activated(
        tenet,
        alice,
        ada,
        audience="named",
        customers=[make_customer()],
        clauses=[budget(journey=journey)],
    )
    before = sha256_of(version)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        with pytest.raises(IntegrityError), transaction.atomic():
            cursor.execute(sql)
    assert sha256_of(queries.versions_of(tenet).get()) == before == version.content_sha256


def test_copying_into_what_is_promised_is_refused(tenet, alice, ada):
    version = activated(tenet, alice, ada)
    columns = f"version_id, {COLUMNS}, window_unit, window_zone, window_start, op, unit"
    with (
        connection.cursor() as cursor,
        pytest.raises(errors.IntegrityError, match="only a draft's"),
        transaction.atomic(),
        cursor.copy(f"COPY tenets_clause ({columns}, tolerance, consequence) FROM STDIN") as copy,
    ):
        copy.write_row(
            [version.pk, 9, "invariant", "loss", "t", 0, 1, 1, "occurrences", "d", *[""] * 6]
        )


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("alike", [True, False])
def test_of_two_who_approve_at_once_one_is_last(alike):
    alice, ada = make_user(), make_user("Ada")
    tenet = actions.create_tenet(
        slug="orders", name="Orders", service=make_service(), kind="business", user=alice, now=NOW
    )
    first = activated(tenet, alice, ada)
    new = [drafted(tenet, alice)]
    actions.submit_version(version=new[0], user=alice, now=NOW)
    if not alike:  # two in review: no action makes them, and still nothing may go wrong
        new.append(
            TenetVersion.objects.create(tenet=tenet, number=3, promise="Third.", author=alice)
        )
        actions.submit_version(version=written_clause(new[1]), user=alice, now=NOW)
    together = Barrier(2)

    def approve(version):
        try:
            together.wait(10)
            actions.activate(version=version, approver=ada, now=LATER)
        except actions.UnableToActivate:
            return "refused"
        else:
            return "active"
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as threads:
        answers = sorted(threads.map(approve, [new[0], new[-1]]))
    assert answers == (["active", "refused"] if alike else ["active", "active"])
    first.refresh_from_db()
    assert (first.state, first.valid_to) == (VersionState.SUPERSEDED, LATER)
    [last] = TenetVersion.objects.active()
    assert (last.valid_from, last.valid_to) == (LATER, None)
    counted = TenetVersion.objects.filter(valid_from__lte=LATER).exclude(valid_to__lte=LATER)
    assert list(counted) == [last]


def written_clause(version):
    Clause.objects.create(version=version, position=1, dimension="error", text="t", target="0.5")
    return version


def test_a_draft_can_still_be_changed_by_sql(tenet, alice):
    version = drafted(tenet, alice)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE tenets_clause SET target = 0.5")
        cursor.execute(INSERT + "= 'draft'")
        cursor.execute("DELETE FROM tenets_clause")
    assert version.clauses.count() == 0


@pytest.mark.parametrize(
    ("begins", "ends"),
    [(NOW - timedelta(days=9), LATER), (NOW, NOW + timedelta(days=1)), (LATER, None)],
)
def test_no_two_versions_count_at_the_same_instant(tenet, alice, ada, begins, ends):
    activated(tenet, alice, ada)
    with pytest.raises(IntegrityError, match=r"tenet_versions_do_not_overlap|tenet_one_active"):
        TenetVersion.objects.create(
            tenet=tenet,
            number=7,
            promise="Also.",
            state="superseded" if ends else "active",
            valid_from=begins,
            valid_to=ends,
        )


@pytest.mark.parametrize(
    "columns",
    [
        {"kind": "invariant"},
        {"kind": "invariant", "max_count": 0, "target": "0.5"},
        {"kind": "budget", "target": None},
        {"kind": "budget", "target": "0.5", "max_count": 1},
        {"kind": "freshness", "dimension": "delay"},
        {"kind": "recovery", "threshold_ms": 0},
        {"kind": "notice", "dimension": "error", "threshold_ms": 9},
        {"kind": "budget", "dimension": "communication", "target": "0.5"},
        {"target": "0.5", "budgeting": "timeslices"},
        {"target": "0.5", "budgeting": "timeslices", "slice_minutes": 1},
        {"target": "0.5", "budgeting": "timeslices", "slice_minutes": 1, "slice_target": "1.1"},
        {"target": "0.5", "budgeting": "ratio_timeslices", "slice_minutes": 1, "slice_target": "1"},
        {"target": "0.5", "slice_minutes": 1},
        {"target": "0.5", "window_unit": "M"},
        {"target": "0.5", "window_unit": "h", "window_zone": "UTC"},
        {"target": "0.5", "window_start": "2026-01-01 00:00:00"},
        {"target": "0.5", "window_count": 0},
        {"target": "0.5", "op": "lt"},
        {"target": "0.5", "value": "1"},
        {"target": "0.5", "op": "lt", "value": "1", "threshold_ms": 1},
    ],
)
def test_the_database_knows_what_fits_which_kind(tenet, alice, columns):
    version = drafted(tenet, alice, clauses=[])
    with pytest.raises(IntegrityError), transaction.atomic():
        Clause.objects.create(
            **{"version": version, "position": 1, "dimension": "error", **columns}
        )


def test_what_it_says_is_sealed_when_it_stands_still(tenet, alice, ada):
    version = drafted(tenet, alice, review_every_months=3)
    assert version.content_sha256 == ""
    sealed = actions.submit_version(version=version, user=alice, now=NOW)
    assert sealed.content_sha256 == sha256_of(sealed)
    assert sealed.review_by == date(2027, 2, 22)
    active = actions.activate(version=sealed, approver=ada, now=NOW)
    assert active.content_sha256 == sha256_of(active)


def test_a_promise_by_name_is_to_nobody_else(tenet, alice, ada):
    acme, globex = make_customer(), make_customer("Globex")
    with pytest.raises(actions.UnableToDraft, match="Name the customers"):
        drafted(tenet, alice, audience="named")
    activated(tenet, alice, ada, audience="named", customers=[acme])
    assert TenetVersion.objects.promised_to(acme).exists()
    assert not TenetVersion.objects.promised_to(globex).exists()


def test_an_account_manager_is_told_only_their_own_customers(client, tenet, alice, ada):
    amy = make_user("Amy", role=Role.ACCOUNT_MANAGER)
    acme, globex = make_customer(account_manager=amy), make_customer("Globex")
    activated(tenet, alice, ada, audience="named", customers=[acme, globex])
    drafted(tenet, alice, audience="named", customers=[globex])
    client.force_login(amy)
    page = client.get(reverse("tenets:detail", args=["orders"])).text
    assert "Acme" in page
    assert "and 1 more" in page
    assert "Globex" not in page
    assert client.get(reverse("tenets:openslo", args=["orders", 1])).status_code == 403
    client.force_login(alice)
    assert "globex" in client.get(reverse("tenets:openslo", args=["orders", 1])).text


# In words


def test_the_difference_in_words(tenet, alice, ada):
    journey = make_journey(tenet.service, "Purchase", make_operation(tenet.service))
    first = activated(tenet, alice, ada, clauses=[budget(journey=journey, threshold_ms=2000)])
    second = drafted(tenet, alice, clauses=[budget(target="0.99", journey=journey), never()])
    lines = [(line.kind, line.text) for line in difference(first, second)]
    assert lines == [
        ("same", "Orders go through."),
        (
            "changed",
            (
                "Changed: 1. Error: Orders that go through: at least 99.9 % → at least 99 %;"
                " at most 2 seconds → nothing said"
            ),
        ),
        (
            "added",
            "2. Loss: An order is never lost (never broken: a single counter-example breaks it)",
        ),
    ]


# Pages


def written(**fields):
    return {
        "promise": "Orders go through.",
        "rationale": "They sell on.",
        "audience": "class",
        "review_by": "",
        "clause-TOTAL_FORMS": "2",
        "clause-INITIAL_FORMS": "0",
        "clause-0-text": "Orders that go through",
        "clause-0-dimension": "error",
        "clause-0-kind": "budget",
        "clause-0-target": "99.9",
        "clause-1-text": "",
        "clause-1-dimension": "error",
        "clause-1-kind": "budget",
        **fields,
    }


def test_from_nothing_to_promised_by_forms(client, alice, ada):
    client.force_login(alice)
    shop = make_service()
    assert "Nothing is promised yet" in client.get(reverse("tenets:list")).content.decode()
    made = client.post(
        reverse("tenets:new"), {"name": "Orders", "service": shop.pk, "kind": "business"}
    )
    assert (made.status_code, made["Location"]) == (303, "/console/tenets/orders/write/")
    assert client.get(made["Location"]).status_code == 200
    assert client.post(made["Location"], written()).status_code == 303
    assert Clause.objects.get().target == Decimal("0.999")
    assert 'value="99.9"' in client.get(made["Location"]).content.decode()
    decide = reverse("tenets:decide", args=["orders", 1])
    assert client.post(decide, {"do": "submit"}).status_code == 303
    refused = client.post(decide, {"do": "activate"}, follow=True)
    assert "somebody else" in refused.content.decode()

    client.force_login(ada)
    client.post(decide, {"do": "activate"})
    page = client.get(reverse("tenets:list")).content.decode()
    assert TenetVersion.objects.get().state == VersionState.ACTIVE
    assert "at least 99.9 % of all attempts" in page
    assert client.post(decide, {"do": "dance"}, follow=True).status_code == 200


@pytest.mark.parametrize(
    "fields",
    [
        {"promise": ""},
        {"promise": "a\0b"},
        {"promise": "x" * 1001},
        {"review_by": "soon"},
        {"review_by": "2001-01-01"},
        {"clause-0-target": ""},
        {"clause-0-target": "100"},
        {"clause-0-target": "NaN"},
        {"clause-0-kind": "freshness"},
        {"clause-0-dimension": "communication"},
        {"clause-0-window_start": "soon", "clause-0-window_zone": "UTC"},
        {"clause-1-target": "99"},
        {"clause-0-journey": "x"},
        {"clause-0-within": "25", "clause-0-within_unit": "days"},
        {"clause-TOTAL_FORMS": "x"},
        {"clause-TOTAL_FORMS": "1000000"},
    ],
)
def test_a_version_that_cannot_be_comes_back(client, alice, tenet, fields):
    client.force_login(alice)
    answer = client.post(reverse("tenets:write", args=["orders"]), written(**fields))
    assert answer.status_code == 422
    assert not TenetVersion.objects.exists()


def test_what_does_not_belong_to_the_kind_is_left_out(client, alice, tenet):
    client.force_login(alice)
    fields = {"clause-0-max_count": "3", "clause-0-op": "lt", "clause-0-value": "9"}
    for kind, kept in (
        ("invariant", {"target": None, "max_count": 3, "op": "lt"}),
        ("recovery", {"target": Decimal("0.999"), "max_count": None, "op": ""}),
        ("budget", {"target": Decimal("0.999"), "max_count": None, "op": "lt"}),
    ):
        within = {"clause-0-within": "5"} if kind == "recovery" else {}
        answer = client.post(
            reverse("tenets:write", args=["orders"]),
            written(**fields, **within, **{"clause-0-kind": kind}),
        )
        assert answer.status_code == 303, answer.text
        clause = Clause.objects.get()
        assert {name: getattr(clause, name) for name in kept} == kept


def test_clauses_are_added_moved_and_removed_by_buttons(client, alice, tenet):
    client.force_login(alice)
    address = reverse("tenets:write", args=["orders"])

    def pressed(edit, **fields):
        page = client.post(address, {**typed, **fields, "edit": edit})
        assert page.status_code == 200
        assert page.context["form"]["promise"].value() == "Half a sen"
        return [
            (form["kind"].value(), form["text"].value() or "") for form in page.context["clauses"]
        ]

    typed = written(
        **{"promise": "Half a sen", "clause-1-text": "Second", "clause-1-target": "none of yours"}
    )
    first, second = ("budget", "Orders that go through"), ("budget", "Second")
    assert pressed("add", new_kind="recovery") == [first, second, ("recovery", "")]
    assert pressed("add", new_kind="pets") == [first, second, ("budget", "")]
    assert pressed("down-0") == pressed("up-1") == [second, first]
    assert pressed("up-0") == pressed("down-1") == pressed("down-7") == [first, second]
    assert pressed("remove-0") == [second]
    assert pressed("remove-1", **{"clause-TOTAL_FORMS": "x"}) == [("budget", "")]
    assert pressed("\0", **{"clause-TOTAL_FORMS": "9" * 50}) == [("budget", "")]
    many = {"clause-TOTAL_FORMS": "12", **{f"clause-{n}-text": str(n) for n in range(12)}}
    assert len(pressed("add", **many)) == 12
    assert "none of yours" in client.post(address, {**typed, "edit": "up-1"}).text
    assert not TenetVersion.objects.exists()


def test_a_tenet_that_cannot_be_comes_back(client, alice, tenet):
    client.force_login(alice)
    good = {"name": "Other", "service": tenet.service_id, "kind": "business"}
    for fields in (
        {"name": "Orders"},
        {"name": "…"},
        {"name": "a\0"},
        {"service": "x"},
        {"kind": "pets"},
    ):
        assert client.post(reverse("tenets:new"), {**good, **fields}).status_code == 422


READ = {"list", "detail"}
WRITE = READ | {"new", "write"}
MAY = {
    Role.ADMIN: WRITE,
    Role.LEAD: WRITE,
    Role.LIAISON: WRITE,
    Role.VIEWER: READ,
    Role.ACCOUNT_MANAGER: READ,
    Role.CUSTOMER: set(),
}


@pytest.mark.parametrize("role", list(MAY))
def test_who_may_open_what(client, tenet, role):
    addresses = {
        "list": reverse("tenets:list"),
        "detail": reverse("tenets:detail", args=["orders"]),
        "new": reverse("tenets:new"),
        "write": reverse("tenets:write", args=["orders"]),
    }
    for address in addresses.values():
        assert client.get(address).status_code == 302
    client.force_login(make_user("Reader", role=role))
    for name, address in addresses.items():
        assert client.get(address).status_code == (200 if name in MAY[role] else 403), name
    drafted(tenet, tenet.owner)
    client.post(reverse("tenets:decide", args=["orders", 1]), {"do": "submit"})
    submitted = TenetVersion.objects.get().state == VersionState.IN_REVIEW
    assert submitted == (MAY[role] == WRITE)


def test_what_does_not_exist_is_404(client, alice, tenet):
    client.force_login(alice)
    assert client.get("/console/tenets/none/").status_code == 404
    assert client.post(reverse("tenets:decide", args=["orders", 10**30])).status_code == 404
    assert client.get(reverse("tenets:detail", args=["orders"]), {"from": "\0", "to": "9" * 99})


def test_stored_markup_stays_text(client, alice, ada, tenet):
    activated(tenet, alice, ada, promise=MARKUP, rationale=MARKUP, clauses=[budget(MARKUP)])
    drafted(tenet, alice, promise=MARKUP + "2")
    client.force_login(alice)
    for address in (
        reverse("tenets:list"),
        reverse("tenets:detail", args=["orders"]),
        reverse("tenets:write", args=["orders"]),
    ):
        assert MARKUP not in client.get(address).content.decode()


@pytest.mark.parametrize("rows", [1, 8])
def test_a_page_asks_as_often_whatever_it_shows(
    client, alice, ada, rows, django_assert_num_queries
):
    shop = make_service()
    for n in range(rows):
        tenet = actions.create_tenet(
            slug=f"t{n}", name=f"Tenet {n}", service=shop, kind="business", user=alice, now=NOW
        )
        for m in range(rows):
            activated(tenet, alice, ada, now=NOW + timedelta(days=m), clauses=[budget(), never()])
    client.force_login(alice)
    for address, queries_asked in (
        (reverse("tenets:list"), 7),
        (reverse("tenets:detail", args=["t0"]), 8),
    ):
        with django_assert_num_queries(queries_asked):
            assert client.get(address).status_code == 200


def test_a_review_that_is_due_is_said_so(client, alice, ada, tenet):
    version = drafted(tenet, alice, review_by=(NOW + timedelta(days=1)).date())
    rows = queries.by_kind(queries.tenets(), today=NOW.date())
    assert not any(row.review_due for kind in rows for row in kind.rows)
    actions.submit_version(version=version, user=alice, now=NOW)
    actions.activate(version=version, approver=ada, now=NOW)
    rows = queries.by_kind(queries.tenets(), today=(NOW + timedelta(days=1)).date())
    assert [row.review_due for kind in rows for row in kind.rows] == [True]


# The guide


def test_from_questions_to_three_promises_in_review(client, alice, ada):
    client.force_login(alice)
    shop = make_service()
    journey = make_journey(shop, "Purchase", make_operation(shop))
    address = reverse("tenets:guide")
    assert client.get(address).status_code == 200
    assert client.get(address, {"kind": "pets", "service": shop.pk}).status_code == 422
    for kind in ("consumers", "business", "internal"):
        asked = client.get(address, {"kind": kind, "service": shop.pk})
        assert "Can they bear an outage?" in asked.text
        answers = {
            f"{journey.pk}-{one.name}{end}": asked.context["form"][
                f"{journey.pk}-{one.name}{end}"
            ].value()
            for one in QUESTIONS
            for end in ("", "-number")
        }
        made = client.post(f"{address}?kind={kind}&service={shop.pk}", answers)
        assert made.status_code == 303, made.text
        assert client.post(f"{address}?kind={kind}&service={shop.pk}", answers).status_code == 422
        written = client.get(made["Location"]).context
        fields = {
            **{name: written["form"][name].value() or "" for name in written["form"].fields},
            **{
                f"{form.prefix}-{name}": "" if (value := form[name].value()) is None else value
                for form in written["clauses"]
                for name in form.fields
            },
            "clause-TOTAL_FORMS": len(written["clauses"].forms),
            "clause-INITIAL_FORMS": 0,
        }
        assert client.post(made["Location"], {**fields, "do": "submit"}).status_code == 303
    client.force_login(ada)
    for tenet in Tenet.objects.all():
        client.post(reverse("tenets:decide", args=[tenet.slug, 1]), {"do": "activate"})
    assert TenetVersion.objects.active().count() == 3
    page = client.get(reverse("tenets:list")).text
    assert "slices of 1 minute" in page
    assert client.get(reverse("tenets:list"), {"review": "due"}).status_code == 200


def test_the_guide_says_what_traffic_shows(client, alice):
    client.force_login(alice)
    shop = make_service()
    make_journey(shop, "Purchase", make_operation(shop))
    attempts = {"total": 412, "first_try": 352, "retried": 28, "gave_up": 32}
    journeys = [
        {"name": "Purchase", "attempts": attempts},
        {"name": "Refund", "attempts": None},
    ]
    acme, globex = make_customer(), make_customer("Globex")
    make_snapshot(acme, result={"journeys": journeys})  # of the same window, and older: not counted
    half = {name: n // 2 for name, n in attempts.items()}
    journeys[0]["attempts"] = half
    make_snapshot(
        acme, globex, make_customer("Wonka", kind="consumers"), result={"journeys": journeys}
    )
    page = client.get(reverse("tenets:guide"), {"kind": "business", "service": shop.pk}).text
    assert "Of 412 attempts, 352 worked at the first try; 60 did not." in page
    assert "28 tried again and got through, 32 gave up" in page
    other = client.get(reverse("tenets:guide"), {"kind": "internal", "service": shop.pk}).text
    assert "Today: cannot tell." in other
    assert "names no customer of the kind" in other
    assert "impact of the window 22 November 2026, 10:04 to 10:30 UTC" in page


def test_the_guide_says_what_they_say_themselves(client, alice, django_assert_max_num_queries):
    client.force_login(alice)
    shop = make_service()
    make_journey(shop, "Purchase", make_operation(shop))
    make_customer(bears_outage="ten minutes at night", bears_outage_minutes=10)
    make_customer("Globex", bears_outage_minutes=5, bears_error_share=Decimal("0.001"))
    make_customer("Wonka", kind="consumers", bears_outage_minutes=1)
    make_customer("Gone", bears_outage_minutes=1, archived_at=NOW)
    asked = {"kind": "business", "service": shop.pk}
    with django_assert_max_num_queries(20):
        page = client.get(reverse("tenets:guide"), asked).text
    assert "2 of 2" in page
    assert "5 minutes" in page
    assert "“ten minutes at night”" in page
    assert "0.1 % of requests" in page
    assert "Wonka" not in page
    assert "Gone" not in page
    assert "no impact has been computed yet" in page.lower()
    other = client.get(reverse("tenets:guide"), {**asked, "kind": "internal"}).text
    assert "nobody could be asked" in other


def answered(**numbers):
    return {
        one.name: Answer("yes", 0)
        if one.name not in numbers
        else Answer("some" if numbers[one.name] else "no", numbers[one.name])
        for one in QUESTIONS
    }


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        (
            [answered(outage=20, error=1, delay=10, loss=0)],
            (
                "Purchase works when you need it, apart from at most 20 minutes in 28 days, and is done"
                " within 10 seconds. We never lose what we have acknowledged."
            ),
        ),
        (
            [answered(outage=0, delay=1, loss=0), answered(outage=1, delay=3)],
            (
                "Purchase and Refund work when you need them, apart from at most 1 minute in 28 days, and"
                " are done within 3 seconds."
            ),
        ),
        (
            [answered(error=5)],
            "Purchase goes through at the first try, but for at most 5 of 1,000 attempts.",
        ),
        ([answered(delay=0)], "Purchase is done within 1 second."),
        ([answered(loss=0)], "We never lose what we have acknowledged of Purchase."),
        ([answered(loss=0), answered(error=1)], "Purchase and Refund: we keep the clauses below."),
    ],
)
def test_the_first_wording_promises_no_more_than_the_answers(answers, words):
    journeys = [Journey(name=name) for name in ("Purchase", "Refund")[: len(answers)]]
    assert promise_of(journeys, answers) == words


def test_a_guide_without_answers_comes_back(client, alice):
    client.force_login(alice)
    shop = make_service()
    address = f"{reverse('tenets:guide')}?kind=business&service={shop.pk}"
    assert "no journey yet" in client.get(address).text
    make_journey(shop, "Purchase", make_operation(shop))
    assert client.post(address, {}).status_code == 422
    assert not Tenet.objects.exists()


def test_a_promise_in_review_says_who_can_approve_it(client, tenet, alice):
    nora = make_user("Nora", role=Role.ADMIN)
    actions.submit_version(version=drafted(tenet, nora), user=nora, now=NOW)
    address = reverse("tenets:detail", args=[tenet.slug])
    client.force_login(nora)
    assert "You wrote it: somebody else approves it. Alice can" in client.get(address).text
    client.force_login(make_user("Ben", role=Role.LIAISON))
    page = client.get(address).text
    assert "Alice, Nora can" not in page
    assert "Alice can" in page
    assert "Promise it from now on" not in page

    alice.is_active = False
    alice.save()
    client.force_login(nora)
    page = client.get(address).text
    assert "Nobody else can yet" in page
    assert reverse("accounts:invite") in page
