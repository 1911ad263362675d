"""A real worker over the real broker, killed in the middle of sending: still one mail per person."""

import pytest
from django.utils import timezone

from apps.outreach import actions
from apps.outreach.models import Delivery, DeliveryState, Outreach, State
from tests.factories import make_contact
from tests.outreach.sinks import Rude
from tests.outreach.world import approve, make_world
from tests.worker import install_queues, kill, wait_until, worker

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.worker]

PEOPLE = 25


class Slow(Rude):
    """A mail server that takes its time, so that a kill finds a mail in the air."""

    async def _answer(self, writer, phase, usual):
        import asyncio

        if phase == "dot":
            await asyncio.sleep(0.03)
        return await super()._answer(writer, phase, usual)


def test_a_worker_killed_in_the_middle_of_sending_mails_nobody_twice(tmp_path, settings):
    install_queues()
    settings.PORTAL_NUDGES = False
    world = make_world()
    for number in range(PEOPLE - 1):
        make_contact(world.acme, f"Person {number}")
    outreach = world.draft()
    actions.submit(outreach=outreach, user=world.amy, now=timezone.now())
    approve(outreach, world.liaison, now=timezone.now())
    waiting = Delivery.objects.filter(state__in=["queued", "claimed", "submitting"])

    with Slow().serving(settings) as server:
        mail = {"EMAIL_URL": f"smtp://127.0.0.1:{server.port}"}
        with worker(tmp_path / "first.log", **mail) as first:
            # Only the clock knows of the rows: no message was sent for them.
            wait_until(lambda: len(server.received.mails) >= 5, every=0.002)
            kill(first)
        assert waiting.exists()
        with worker(tmp_path / "second.log", **mail):
            wait_until(lambda: not waiting.exists(), seconds=60)
            settled = {True: State.SENDING, False: State.SENT}
            wait_until(
                lambda: (
                    Outreach.objects.get().state
                    == settled[Delivery.objects.filter(state=DeliveryState.UNKNOWN).exists()]
                )
            )

    received = server.received.addresses
    rows = list(Delivery.objects.all())
    assert len(rows) == PEOPLE
    assert set(received.values()) == {1}
    assert {row.state for row in rows} <= {DeliveryState.ACCEPTED, DeliveryState.UNKNOWN}
    unknown = [row.email for row in rows if row.state == DeliveryState.UNKNOWN]
    assert len(unknown) <= 2
    assert set(received) | set(unknown) == {row.email.lower() for row in rows}
