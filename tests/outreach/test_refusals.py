"""What the sender does when the mail server misbehaves, at each moment it can."""

from datetime import timedelta

import pytest

from apps.outreach import jobs
from apps.outreach.models import DeliveryState, State
from tests.factories import NOW, make_contact
from tests.outreach.sinks import Rude, free_port
from tests.outreach.sinks import sink as run_sink

LATER = timedelta(hours=2)


@pytest.mark.parametrize("phase", ["connect", "ehlo"])
@pytest.mark.parametrize("what", ["drop", "451 4.3.0 not now", "554 5.7.1 go away"])
def test_a_server_that_does_not_let_us_in_changes_nothing(world, settings, phase, what):
    outreach = world.approved()

    with Rude({phase: what, "helo": what}).serving(settings):
        done = jobs.drain(now=NOW)

    row = outreach.deliveries.get()
    assert done.away
    assert row.state == DeliveryState.QUEUED
    assert "did not let us in" in row.reply
    assert row.tries == 0


@pytest.mark.parametrize("phase", ["mail", "rcpt", "data", "dot"])
def test_a_refusal_for_now_is_tried_again_later(world, settings, phase):
    outreach = world.approved()

    with Rude({phase: "451 4.3.0 not now"}).serving(settings):
        jobs.drain(now=NOW)
        assert not jobs.drain(now=NOW + timedelta(seconds=5)).claimed

    row = outreach.deliveries.get()
    assert row.state == DeliveryState.QUEUED
    assert row.reply == "451 4.3.0 not now"
    assert row.send_after > NOW + timedelta(seconds=29)
    with run_sink(settings) as received:
        jobs.drain(now=NOW + LATER)
    assert received.addresses == {"bob@acme.example": 1}


@pytest.mark.parametrize("phase", ["mail", "rcpt", "data", "dot"])
def test_a_refusal_for_good_is_final(world, settings, phase):
    outreach = world.approved()

    with Rude({phase: "550 5.1.1 no such user"}).serving(settings):
        jobs.drain(now=NOW)

    row = outreach.deliveries.get()
    assert (row.state, row.reply) == (DeliveryState.FAILED, "550 5.1.1 no such user")
    outreach.refresh_from_db()
    assert outreach.state == State.STALE
    assert "Nobody has received it" in outreach.reason


@pytest.mark.parametrize("phase", ["mail", "rcpt", "data", "body"])
def test_a_line_that_breaks_before_the_mail_was_whole_is_tried_again(world, settings, phase):
    outreach = world.approved()

    with Rude({phase: "drop"}).serving(settings) as server:
        jobs.drain(now=NOW)

    row = outreach.deliveries.get()
    # Of a short body the server's drop may show only when the dot has gone: then nobody can know.
    certain = DeliveryState.QUEUED
    assert row.state == certain or (phase == "body" and row.state == DeliveryState.UNKNOWN)
    assert not server.received.mails


@pytest.mark.parametrize("keeps", [True, False])
def test_a_line_that_breaks_after_the_mail_left_is_never_retried(world, settings, keeps):
    outreach = world.approved()
    plan = {"dot": "drop"} | ({"keeps": "yes"} if keeps else {})

    with Rude(plan).serving(settings):
        jobs.drain(now=NOW)
    with run_sink(settings) as received:
        jobs.sweep(now=NOW + LATER)
        jobs.drain(now=NOW + LATER)

    assert not received.mails
    assert outreach.deliveries.get().state == DeliveryState.UNKNOWN
    outreach.refresh_from_db()
    assert outreach.state == State.SENDING
    assert "not known whether" in outreach.reason


def test_a_server_that_says_nothing_costs_a_part_of_the_lease(world, settings):
    settings.PORTAL_LEASE_SECONDS = 4
    outreach = world.approved()

    with Rude({"rcpt": "hang"}).serving(settings):
        jobs.drain(now=NOW)

    assert outreach.deliveries.get().state == DeliveryState.QUEUED


def test_one_bad_address_does_not_hold_up_the_others(world, settings):
    for name in ("Ann", "Cid", "Dot"):
        make_contact(world.acme, name)
    outreach = world.approved()

    class Picky(Rude):
        async def _answer(self, writer, phase, usual):
            if phase == "rcpt":
                self.count = getattr(self, "count", 0) + 1
                self.plan = {1: {}, 2: {"rcpt": "550 no"}, 3: {"rcpt": "drop"}}.get(self.count, {})
            return await super()._answer(writer, phase, usual)

    with Picky().serving(settings) as server:
        done = jobs.drain(now=NOW)

    assert (done.accepted, done.refused, done.later) == (2, 1, 1)
    assert server.connections == 2
    assert sum(server.received.addresses.values()) == 2
    outreach.refresh_from_db()
    assert outreach.state == State.SENDING


def test_a_sink_that_was_down_and_comes_up_loses_nothing(world, settings):
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", free_port()
    outreach = world.approved()

    down = jobs.drain(now=NOW)
    outreach.refresh_from_db()

    assert "refused" in down.away
    assert outreach.state == State.APPROVED
    with run_sink(settings, port=settings.EMAIL_PORT) as received:
        assert jobs.drain(now=NOW + timedelta(seconds=15)).accepted == 1
    assert received.addresses == {"bob@acme.example": 1}
