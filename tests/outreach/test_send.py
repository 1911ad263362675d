"""One mail per person, over a real socket."""

from datetime import timedelta

from apps.outreach import jobs
from apps.outreach.models import Delivery, DeliveryState, State
from tests.factories import NOW, make_contact


def test_an_approved_message_reaches_each_person_once(world, sink):
    make_contact(world.acme, "Jo Ruiz")
    outreach = world.approved()

    first = jobs.drain(now=NOW)
    second = jobs.drain(now=NOW)

    assert (first.accepted, second.claimed) == (2, 0)
    assert sink.addresses == {"bob@acme.example": 1, "jo-ruiz@acme.example": 1}
    outreach.refresh_from_db()
    assert outreach.state == State.SENT
    rows = Delivery.objects.filter(outreach=outreach)
    assert {row.state for row in rows} == {DeliveryState.ACCEPTED}
    assert all("250" in row.reply for row in rows)


def test_the_mail_carries_what_threads_and_filters_need(world, sink):
    outreach = world.approved()

    jobs.drain(now=NOW + timedelta(seconds=1))

    (mail,) = sink.to("bob@acme.example")
    row = outreach.deliveries.get()
    assert mail["Message-ID"] == row.message_id
    assert mail["To"] == "Bob <bob@acme.example>"
    assert mail["Reply-To"] == "Amy <amy@example.com>"
    assert mail["Subject"] == f"[INC-{world.incident.pk}] Checkout fails for some"
    assert mail["X-Portal-Delivery"] == str(row.pk)
    assert mail["List-Id"] == f"<incident-{world.incident.pk}.example.com>"
    assert mail["Auto-Submitted"] is None
    assert mail["Date"].endswith("+0000")
    text = mail.get_body(("plain",)).get_content().replace("\r\n", "\n")
    assert text.startswith("Hello Bob,\n\nsince 10:04 UTC (11:04 Europe/Berlin)")
    assert "60 of Acme's 480 requests failed" in text
    html = mail.get_body(("html",)).get_content()
    assert "Hello Bob," in html
    assert "<li>60 of Acme" in html
