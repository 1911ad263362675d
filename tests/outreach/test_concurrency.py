"""Several senders at once, dead senders, and slow ones: still one mail per person."""

import threading
from datetime import timedelta

import pytest
from django.db import connection

from apps.outreach import actions, jobs
from apps.outreach.models import Delivery, DeliveryState
from tests.factories import NOW, make_contact
from tests.outreach.sinks import Rude
from tests.outreach.sinks import sink as run_sink
from tests.outreach.world import make_world

LATER = NOW + timedelta(minutes=10)


@pytest.mark.django_db(transaction=True)
def test_senders_at_the_same_time_send_each_mail_once(settings):
    world = make_world()
    for number in range(40):
        make_contact(world.acme, f"Person {number}")
    world.approved()
    failures = []

    def send():
        try:
            while jobs.drain(now=LATER, limit=7):
                pass
        except Exception as error:  # noqa: BLE001
            failures.append(error)
        finally:
            connection.close()

    with run_sink(settings) as received:
        threads = [threading.Thread(target=send) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)

    assert not failures
    assert len(received.addresses) == 41
    assert set(received.addresses.values()) == {1}
    assert set(Delivery.objects.values_list("state", flat=True)) == {DeliveryState.ACCEPTED}


def test_a_sender_that_died_before_sending_holds_nothing_up(world, sink):
    world.approved()
    Delivery.objects.update(state=DeliveryState.CLAIMED, lease_until=NOW)

    jobs.drain(now=LATER)

    assert sink.addresses == {"bob@acme.example": 1}


def test_a_claim_that_is_still_good_is_left_alone(world, sink):
    world.approved()
    Delivery.objects.update(state=DeliveryState.CLAIMED, lease_until=LATER)

    assert not jobs.drain(now=NOW)
    assert not sink.mails


@pytest.mark.django_db(transaction=True)
def test_a_slow_sender_may_still_say_what_became_of_its_mail(settings):
    settings.PORTAL_LEASE_SECONDS = 80
    world = make_world()
    world.approved()

    class Slow(Rude):
        async def _answer(self, writer, phase, usual):
            if phase == "dot":
                await self._wait()
            return await super()._answer(writer, phase, usual)

        async def _wait(self):
            import asyncio

            while not reaped.is_set():
                await asyncio.sleep(0.01)

    reaped = threading.Event()

    def send():
        jobs.drain(now=NOW)
        connection.close()

    with Slow().serving(settings):
        thread = threading.Thread(target=send)
        thread.start()
        for _ in range(500):
            if Delivery.objects.filter(state=DeliveryState.SUBMITTING).exists():
                break
            threading.Event().wait(0.01)
        assert jobs.reap(now=LATER) == (0, 1)
        assert Delivery.objects.get().state == DeliveryState.UNKNOWN
        reaped.set()
        thread.join(10)

    assert Delivery.objects.get().state == DeliveryState.ACCEPTED


def test_a_pause_between_claim_and_sending_is_heeded(world, sink, monkeypatch):
    outreach = world.approved()
    claim = jobs.sending.claim

    def claim_and_pause(*args, **kwargs):
        rows = claim(*args, **kwargs)
        actions.pause(outreach=outreach, user=world.amy, now=NOW)
        return rows

    monkeypatch.setattr(jobs.sending, "claim", claim_and_pause)
    jobs.drain(now=NOW)

    assert not sink.mails
    assert outreach.deliveries.get().state == DeliveryState.QUEUED
