"""Questions by service and journey, the gaps behind them, and who accepts not to know."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import AuditEvent, Role
from apps.impact import actions, coverage, queries
from apps.impact.models import Gap, ImpactRun, ImpactSnapshot
from tests.factories import make_customer, make_service, make_snapshot, make_user

pytestmark = pytest.mark.django_db

BLIND = {
    "coverage": {"named_customer": 0.6, "actor": 0.3, "key": 0.1},
    "requests": {"total": 1000, "failed": 50},
    "actors": {"total": None},
    "attempts": {"total": 900, "retried": 3, "cannot_tell": 400},
    "extra_wait_s": {"sum": 9.0, "p50": None},
    "user_uptime": {"during": None},
    "lost_attempts": {"cannot_tell": "no earlier weeks to compare with"},
    "not_returned": {"cannot_tell": "no earlier weeks"},
}
CLEAR = {
    "coverage": {"named_customer": 1.0, "actor": 0.97, "key": 0.4},
    "requests": {"total": 1000, "failed": 50},
    "actors": {"total": 700},
    "attempts": {"total": 900, "retried": 30, "cannot_tell": 0},
    "extra_wait_s": {"sum": 900.0, "p50": 48.0},
    "user_uptime": {"during": 0.9},
    "lost_attempts": {"estimate": 240.0, "low": 180.0, "high": 310.0},
    "not_returned": {"estimate": 150.0, "low": 90.0, "high": 210.0},
}
TOGETHER = {
    "user_uptime": {"during": None},
    "not_returned": {"cannot_tell": "computed for everybody together only"},
}


def shop(name="Shop"):
    service = make_service(name)
    operation = service.operations.create(name=f"POST /{name}")
    journey = service.journeys.create(slug=name.lower(), name=f"Purchase at {name}")
    journey.steps.create(operation=operation, position=1)
    return service, operation, journey


def computed(overall, *parts, now=None, service=None):
    """A snapshot with these figures, and (operation, journey, figures) of its parts."""
    now = now or timezone.now()
    run = ImpactRun.objects.create(
        window_from=now - timedelta(minutes=26),
        window_to=now,
        service=service,
        state="done",
        created_at=now,
        finished_at=now,
    )
    return ImpactSnapshot.objects.create(
        run=run,
        as_of=now,
        watermark=now,
        provisional=True,
        method="test",
        created_at=now,
        result={
            **overall,
            "operations": [{"id": op.pk, "name": op.name, **own} for op, _, own in parts],
            "journeys": [
                {"id": j.pk, "name": j.name, "declared": True, **own} for _, j, own in parts
            ],
            "customers": [],
        },
    )


def opened(snapshot, code="actor", **columns):
    return Gap.objects.create(
        **{
            "code": code,
            "question": "How many people were hit?",
            "why": "70 % of requests carry nothing",
            "closes_by": "Log a session",
            "first_snapshot": snapshot,
            "latest_snapshot": snapshot,
            "opened_at": snapshot.created_at,
        }
        | columns
    )


def states(rows, key):
    row = next(row for row in rows if row.key == key)
    return {cell.question.name: cell.state for cell in row.cells}


def test_each_question_is_answered_or_not_where_it_was_asked():
    blind, clear, quiet = shop("Blind"), shop("Clear"), shop("Quiet")
    snapshot = computed(BLIND, (*blind[1:], BLIND | TOGETHER), (*clear[1:], CLEAR | TOGETHER))
    gap = opened(snapshot)

    rows = coverage.matrix(timezone.now())

    cannot = dict.fromkeys(("people", "wait", "lost", "uptime", "gone"), "cannot")
    assert states(rows, "all") == cannot | {"whose": "part", "retries": "part"}
    of_journey = states(rows, f"journey-{blind[2].pk}")
    assert of_journey == states(rows, "all") | {"uptime": "unasked", "gone": "unasked"}
    assert states(rows, f"service-{blind[0].pk}") == of_journey
    told = dict.fromkeys(of_journey, "tell") | {"uptime": "unasked", "gone": "unasked"}
    assert states(rows, f"journey-{clear[2].pk}") == told
    assert states(rows, f"service-{clear[0].pk}") == told
    assert set(states(rows, f"journey-{quiet[2].pk}").values()) == {"unasked"}
    places = {(row.key, cell.question.name) for row, cell in coverage.places_of(gap, rows)}
    assert ("all", "people") in places
    assert (f"journey-{blind[2].pk}", "people") in places
    assert (f"journey-{clear[2].pk}", "people") not in places


def test_the_latest_word_counts_and_an_old_one_is_forgotten():
    _, operation, journey = shop()
    now = timezone.now()
    computed(BLIND, (operation, journey, BLIND), now=now - timedelta(hours=2))
    computed(CLEAR, (operation, journey, CLEAR), now=now - timedelta(hours=1))

    rows = coverage.matrix(now)

    assert states(rows, "all")["people"] == "tell"
    row = next(row for row in rows if row.kind == "journey")
    assert row.shares.actor == pytest.approx((0.3 + 0.97) / 2)
    later = coverage.matrix(now + coverage.LATELY)
    assert "all" not in [row.key for row in later]
    assert set(states(later, row.key).values()) == {"unasked"}


def test_of_a_window_of_one_service_all_is_asked_of_that_service():
    service, operation, journey = shop()
    computed(CLEAR, (operation, journey, CLEAR | TOGETHER), service=service)

    rows = coverage.matrix(timezone.now())

    assert [row.kind for row in rows] == ["service", "journey"]
    assert set(states(rows, f"service-{service.pk}").values()) == {"tell"}


@pytest.mark.parametrize("many", [1, 12])
def test_the_page_asks_the_same_however_many_there_are(signed_in, many, django_assert_num_queries):
    shops = [shop(f"Shop{n}") for n in range(many)]
    opened(computed(BLIND, *((*one[1:], BLIND) for one in shops)))
    with django_assert_num_queries(7):
        page = signed_in.get(reverse("impact:coverage"))
    text = page.content.decode()
    assert "70 % of requests say not who made them" in text
    assert text.count("Purchase at") == many
    assert signed_in.get(reverse("impact:coverage"), {"page": "0x"}).status_code == 200


def test_before_the_first_computation_nothing_is_praised(signed_in):
    shop()
    text = signed_in.get(reverse("impact:coverage")).content.decode()
    assert "Nothing asked yet" in text


def test_a_gap_shows_what_to_paste_whom_it_hides_and_where(signed_in, client):
    _, operation, journey = shop()
    acme = make_customer("Acme")
    gap = opened(computed(BLIND, (operation, journey, BLIND)), customers=[acme.pk, 10**9])

    text = signed_in.get(reverse("impact:gap", args=[gap.pk])).content.decode()

    assert "log_format timed" in text
    assert "Acme" in text
    assert f"#journey-{journey.pk}-people" in text
    assert signed_in.get(reverse("impact:gap", args=[10**12])).status_code == 404
    client.force_login(make_user("Max", role=Role.ACCOUNT_MANAGER))
    text = client.get(reverse("impact:gap", args=[gap.pk])).content.decode()
    assert "Acme" not in text
    assert "Accept not knowing" not in text


def test_not_knowing_is_accepted_until_a_day_and_then_asked_again(signed_in, alice):
    gap = opened(make_snapshot())
    now = timezone.now()
    day = (now + timedelta(days=30)).date()
    address = reverse("impact:accept", args=[gap.pk])

    said = {"reason": "The vendor adds ids in spring.", "until": day.isoformat()}
    assert signed_in.post(address, said).status_code == 303

    gap.refresh_from_db()
    assert gap.accepted_by == alice
    assert gap.state(now) == "accepted"
    assert gap not in queries.open_gaps(now)
    assert gap in queries.accepted_gaps(now)
    later = now + timedelta(days=31)
    assert gap.state(later) == "open"
    assert gap in queries.open_gaps(later)
    assert AuditEvent.objects.get(action="gap.accept").after["reason"] == said["reason"]
    text = signed_in.get(reverse("impact:gaps"), {"state": "accepted"}).content.decode()
    assert said["reason"] in text
    assert signed_in.post(reverse("impact:reopen", args=[gap.pk])).status_code == 303
    gap.refresh_from_db()
    assert gap.state(now) == "open"
    assert not gap.accepted_because


@pytest.mark.parametrize(
    ("reason", "days", "said"),
    [
        (" ", 5, "Say why"),
        ("x" * 501, 5, "500"),
        ("why", 0, "after today"),
        ("why", 400, "within a year"),
        ("why", None, "Give a day"),
    ],
)
def test_an_acceptance_without_reason_or_end_is_refused(signed_in, reason, days, said):
    gap = opened(make_snapshot())
    until = "soon" if days is None else (timezone.now() + timedelta(days=days)).date().isoformat()
    answer = signed_in.post(
        reverse("impact:accept", args=[gap.pk]), {"reason": reason, "until": until}
    )
    assert answer.status_code == 422
    assert said in answer.content.decode()
    gap.refresh_from_db()
    assert gap.accepted_until is None


def test_what_has_closed_is_neither_accepted_nor_reopened(alice):
    now = timezone.now()
    gap = opened(make_snapshot(), closed_at=now)
    with pytest.raises(actions.UnableToAccept, match="has closed"):
        actions.accept_gap(
            gap=gap, reason="why", until=now + timedelta(days=2), user=alice, now=now
        )
    with pytest.raises(actions.UnableToAccept, match="has closed"):
        actions.reopen_gap(gap=gap, user=alice, now=now)
    with pytest.raises(actions.UnableToAccept, match="role"):
        actions.reopen_gap(gap=gap, user=make_user("Vera", role=Role.VIEWER), now=now)
