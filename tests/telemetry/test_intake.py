"""*System → Telemetry*, and senders that stop: real deliveries, counted by the job, read on the pages."""

import itertools
import json
import random
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.accounts.models import ApiKey, AuditEvent, Role, Scope
from apps.core.notices import notices
from apps.telemetry import actions, arrivals, intake, jobs, queries, silence
from apps.telemetry.models import Arrival, Batch, Segment, Sender, Silence, Total
from apps.telemetry.silence import Bin, usual
from tests.factories import make_customer, make_user

NOW = datetime(2026, 11, 22, 10, 30, tzinfo=UTC)
WHERE = "/console/system/telemetry/"
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def key(db):
    return ApiKey.objects.issue(name="shop", scopes=[Scope.INGEST])[0]


@pytest.fixture
def alice(client, db):
    alice = make_user("Alice")
    client.force_login(alice)
    return alice


def deliver(key, at, *events, **common):
    """Deliver events of a second before a moment, at that moment."""
    ts = (at - timedelta(seconds=1)).isoformat()
    body = b"".join(
        json.dumps({"ts": ts, "status": 200, "service": "shop"} | common | one).encode() + b"\n"
        for one in events or ({},)
    )
    actions.accept_events(body=body, key=key, idempotency_key="", form="ndjson", now=at)


def listen(now):
    """Sweep as a worker does that has been up for a while."""
    for minutes in range(10, -1, -1):
        jobs.arrivals.count()
        found = silence.notice(now=now - minutes * MINUTE)
    return found


# Counting


def test_each_batch_is_counted_once_and_figures_survive_folding(key, tmp_path):
    make_customer("Acme", external_id="acme")
    deliver(
        key,
        NOW,
        {"customer": "acme"},
        {"service": "search"},
        {"user_agent": "Googlebot/2.1"},
        {"nonsense": 1, "ts": "x"},
    )
    deliver(key, NOW + 7 * MINUTE, {}, {})
    log = tmp_path / "a.log"
    log.write_bytes(
        b'{"ts":"2026-11-22T10:00:00Z","status":200}\n{"ts":"2026-11-22T10:00:01Z","status":200}\nno\n'
    )
    call_command("ingest", str(log), verbosity=0)

    assert arrivals.count() == 3
    assert arrivals.count() == 0

    def figures():
        return [
            {
                name: [
                    sum(getattr(one, name) for one in found)
                    for name in ("batches", "events", "rejected", "bots", "customers", "named")
                ]
                for name in ["sums"]
            }
            | {"gap": max(one.longest_gap_s for one in found)}
            for sender in Sender.objects.order_by("pk")
            if (found := list(sender.arrivals.all())) is not None
        ]

    before = figures()
    by_name = dict(zip((str(one) for one in Sender.objects.order_by("pk")), before, strict=True))
    assert by_name["api: shop"] == {"sums": [2, 5, 1, 1, 4, 1], "gap": 420}
    assert by_name[str(log)]["sums"][:3] == [1, 2, 1]
    assert {one.service.slug for one in Sender.objects.exclude(service=None)} == {
        "shop",
        "search",
        "web",
    }
    assert dict(Total.objects.values_list("name", "n"))["events"] == 7
    assert sum(Total.objects.filter(name__startswith="rejected: ").values_list("n", flat=True)) == 2
    n = Arrival.objects.count()
    with time_machine.travel(NOW, tick=False):
        arrivals.fold(now=NOW + 4 * DAY)
    assert figures() == before
    assert Arrival.objects.count() < n
    arrivals.fold(now=datetime.now(UTC) + 400 * DAY)
    assert not Sender.objects.exists()
    assert Total.objects.get(name="events").n == 7  # what only grows


# What is usual


def regular(every: timedelta, days: int, end: datetime = NOW) -> list[Bin]:
    """Bins of a sender that delivered ten events every so often, until `end`, around the clock."""
    bins: dict[int, int] = {}
    at = end
    while at > end - days * DAY:
        bins[arrivals.slot_of(at)] = bins.get(arrivals.slot_of(at), 0) + 1
        at -= every
    gap = int(every.total_seconds())
    return [Bin(arrivals.moment(slot), 300, n, 10 * n, gap) for slot, n in bins.items()]


def noticed_after(bins, days=5, most=4 * DAY) -> timedelta | None:
    """Return how long the sender has been silent when it is missed."""
    for minutes in range(1, int(most / MINUTE), 1):
        silent = minutes * MINUTE
        found = usual(bins, first_at=NOW - days * DAY, seen_at=NOW, now=NOW + silent)
        if found and found.misses(silent):
            return silent
    return None


@pytest.mark.parametrize(
    ("every", "least", "most"),
    [
        (timedelta(seconds=10), 10 * MINUTE, 11 * MINUTE),
        (5 * MINUTE, 10 * MINUTE, 20 * MINUTE),
        (HOUR, 2 * HOUR, 2 * HOUR + 10 * MINUTE),
    ],
)
def test_a_regular_sender_is_missed_after_twice_its_pause(every, least, most):
    assert least <= noticed_after(regular(every, 5)) <= most


def test_nothing_is_said_of_who_is_too_new():
    assert usual(regular(MINUTE, 2), first_at=NOW - 2 * DAY, seen_at=NOW, now=NOW + HOUR) is None
    assert usual([], first_at=NOW, seen_at=NOW, now=NOW + HOUR) is None


def test_the_same_weekday_counts_once_three_weeks_are_known():
    # On Sundays (as NOW is) it rests from 10:30 to 18:30.
    bins = [
        one
        for one in regular(MINUTE, 28)
        if not (one.start.weekday() == 6 and 10.5 <= one.start.hour + one.start.minute / 60 < 18.5)
    ]
    bins.append(Bin((NOW - 7 * DAY).replace(hour=18), 300, 5, 50, 8 * 3600))
    late = NOW + 4 * HOUR
    of_weeks = usual(bins, first_at=NOW - 28 * DAY, seen_at=NOW, now=late)
    of_days = usual(bins, first_at=NOW - 8 * DAY, seen_at=NOW, now=late)
    assert not of_weeks.misses(4 * HOUR)
    assert of_days.misses(4 * HOUR)


def test_who_sends_at_random_is_not_missed_in_a_week():
    """Five deliveries in ten minutes by chance: each pause of a week is looked at when it is longest."""
    chance = random.Random(5)
    moments, at = [NOW - 14 * DAY], NOW - 14 * DAY
    while at < NOW:
        at += timedelta(seconds=chance.expovariate(1 / 120))
        moments.append(at)
    bins: dict[int, list[int]] = {}
    pauses = []
    for before, at in itertools.pairwise(moments):
        pause = (at - before).total_seconds()
        one = bins.setdefault(arrivals.slot_of(at), [0, 0])
        one[0], one[1] = one[0] + 1, max(one[1], int(pause))
        if before > NOW - 7 * DAY and pause > 600:
            pauses.append((before, at))
    known = [Bin(arrivals.moment(slot), 300, n, n, gap) for slot, (n, gap) in bins.items()]
    assert pauses
    for before, at in pauses:
        found = usual(known, first_at=moments[0], seen_at=before, now=at)
        assert not found.misses(at - before)


# Noticing


@pytest.fixture
def hourly(key):
    """A source and its service, heard every hour for four days until NOW."""
    for hours in range(96, -1, -1):
        deliver(key, NOW - hours * HOUR, {}, {})
    arrivals.count()
    return Sender.objects.get(source="api: shop")


def test_a_sender_that_stops_is_noticed_told_and_closed_by_data(key, hourly, client, alice):
    assert listen(NOW + 1.5 * HOUR) == 0
    assert client.get(WHERE).status_code == 200
    assert listen(NOW + 2.2 * HOUR) == 2  # the source and its service
    found = Silence.objects.get(sender=hourly)
    assert found.began_at == NOW
    assert found.usual * 60 == pytest.approx(2, rel=0.2)
    with time_machine.travel(NOW + 2.3 * HOUR, tick=False):
        text = client.get(WHERE).text
        assert "sent nothing for longer than usual" in text
        assert "22 Nov, 10:30 UTC" in text
        assert text.index("api: shop</a> since") < text.index("events in the last hour")
        assert "about 2 an hour" in text
        assert [one.text for one in notices(alice) if "silent" in one.text] == [
            "2 senders are silent"
        ]
        assert "Nothing came since" in client.get(reverse("intake:sender", args=[hourly.pk])).text
        assert list(intake.silent_services().values()) == [NOW]
    assert listen(NOW + 3 * HOUR) == 0  # once
    listen(NOW + 25 * HOUR)
    assert intake.counts_by_state(services=False)["stopped"] == 1

    deliver(key, NOW + 26 * HOUR)
    arrivals.count()
    hourly.refresh_from_db()
    assert hourly.state == "flowing"
    assert Silence.objects.get(sender=hourly).ended_at == NOW + 26 * HOUR
    assert not intake.open_silences()
    assert not [one for one in notices(alice) if "silent" in one.text]


def test_nobody_is_missed_while_we_were_not_there_to_hear(key, hourly):
    after = NOW + 5 * HOUR
    arrivals.count()
    assert silence.notice(now=after) == 0  # our first sweep since we were down
    assert silence.notice(now=after + MINUTE) == 0
    deliver(key, after + 2 * MINUTE)
    assert listen(after + 20 * MINUTE) == 0


def test_nobody_is_missed_while_batches_wait_to_be_counted(key, hourly):
    listen(NOW + HOUR)
    deliver(key, NOW + 1.5 * HOUR)
    for minutes in range(30, 130, 2):
        assert silence.notice(now=NOW + HOUR + minutes * MINUTE) == 0


def test_a_source_that_is_gone_for_good_is_not_missed_until_it_sends(key, hourly, client, alice):
    assert listen(NOW + 3 * HOUR) == 2
    where = reverse("intake:retire", args=[hourly.pk])
    with time_machine.travel(NOW + 3 * HOUR, tick=False):
        assert client.post(where).status_code == 303
        text = client.get(reverse("intake:sender", args=[hourly.pk])).text
    assert "Gone for good" in text
    assert AuditEvent.objects.get(action="sender.retire").before["state"] == "quiet"
    assert "It is not missed any more" in client.post(where, follow=True).text
    assert client.post(reverse("intake:retire", args=[999_999])).status_code == 404
    deliver(key, NOW + 4 * HOUR)
    arrivals.count()
    hourly.refresh_from_db()
    assert hourly.state == "flowing"


# The pages


def test_without_data_the_first_step_is_said(client, alice):
    text = client.get(WHERE).text
    assert "Nothing has come in yet" in text
    assert "manage.py ingest" in text


def test_what_came_in_and_what_could_not_be_read(key, client, alice, tmp_path):
    log = tmp_path / "<b>a.log"
    line = '{"ts":"2026-11-22T10:29:00Z","status":200,"user_agent":"kube-probe/1.30"}\n'
    log.write_text(line + "<script>alert(1)</script>\n" + line)
    with time_machine.travel(NOW, tick=False):
        call_command("ingest", str(log), verbosity=0)
        deliver(key, NOW, {}, {}, {})
        assert "not counted here yet" in client.get(WHERE).text
        arrivals.count()
        text = client.get(WHERE).text
        one = Sender.objects.get(source__endswith="a.log")
        own = client.get(reverse("intake:sender", args=[one.pk])).text
        services = client.get(WHERE, {"by": "services", "over": "24h"}).text
    assert "not counted here yet" not in text
    assert "not valid JSON" in text
    for page in (text, own):
        assert "&lt;script&gt;alert(1)" in page
        assert "<script>alert" not in page
        assert "<b>a.log" not in page
    assert "2 health checks" in text
    assert "33\u00a0%" in text  # of the file's lines
    assert "17\u00a0%" in text  # of all
    assert "api: shop" in text
    shop = Sender.objects.get(service__slug="shop")
    assert reverse("intake:sender", args=[shop.pk]) in services
    assert "line 2" in own


def test_how_long_the_disk_lasts_is_told(key, client, alice, settings):
    def text():
        return " ".join(client.get(WHERE).text.split())

    with time_machine.travel(NOW, tick=False):
        deliver(key, NOW)
        assert "No whole day of events is known yet" in text()
        deliver(key, NOW - 2 * DAY)
        assert "the oldest go before: after 400 days" in text()
        settings.EVENTS_KEEP_DAYS = 0
        assert "over 2 years" in text()
        Segment.objects.update(bytes=queries.disk().free)
        assert "within 2 days" in text()
        settings.EVENTS_KEEP_DAYS = 1
        assert "the oldest go before: after 1 day<" in text()
        settings.EVENTS_LEAST_FREE = 2**62
        assert "The disk is nearly full: nothing is taken in" in text()
        # Whoever we send away is not silent.
        assert listen(NOW + 12 * DAY) == 0


def test_the_pages_ask_as_often_whatever_is_there(key, client, alice):
    def asked(path):
        with (
            time_machine.travel(NOW, tick=False),
            CaptureQueriesContext(
                connection,
            ) as made,
        ):
            assert client.get(path).status_code == 200
        return len(made)

    def of_sender():
        return asked(reverse("intake:sender", args=[Sender.objects.get(source="api: shop").pk]))

    deliver(key, NOW - MINUTE)
    arrivals.count()
    few = asked(WHERE), asked(WHERE + "?by=services"), of_sender()
    for n in range(30):
        other = ApiKey.objects.create(name=f"k{n}", digest=f"{n}", prefix="x", scopes=["ingest"])
        deliver(other, NOW - 2 * MINUTE, {"service": f"s{n}"}, {"ts": "never"})
        deliver(key, NOW - n * MINUTE, {"operation": f"o{n}"})
    arrivals.count()
    Silence.objects.bulk_create(
        Silence(sender=one, began_at=NOW, noticed_at=NOW, usual=1) for one in Sender.objects.all()
    )
    assert (asked(WHERE), asked(WHERE + "?by=services"), of_sender()) == few
    assert max(few) <= 30


@pytest.mark.parametrize(
    "query", ["over=x", "page=-1", "page=x", "by=x&page=99999999999999999999", "over=%00"]
)
def test_whatever_is_asked_is_answered(key, client, alice, query):
    deliver(key, NOW)
    arrivals.count()
    assert client.get(f"{WHERE}?{query}").status_code == 200
    assert client.get(f"{WHERE}{Sender.objects.first().pk}/?{query}").status_code == 200


def test_an_account_manager_reads_no_lines_of_others(client, db):
    client.force_login(make_user("Amy", role=Role.ACCOUNT_MANAGER))
    assert client.get(WHERE).status_code == 403
    assert not Batch.objects.exists()
