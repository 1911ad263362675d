"""Drafts: one per customer hit, with their own numbers; and one when it is fixed, to everyone who was told."""

from datetime import timedelta

import pytest

from apps.customers.models import Kind
from apps.incidents.models import State as IncidentState
from apps.outreach import actions, drafting, jobs, queries
from apps.outreach.models import Delivery, DeliveryState, Outreach, Purpose, State
from tests.factories import (
    NOW,
    facts_of_theirs,
    make_contact,
    make_customer,
    make_incident,
    make_snapshot,
)
from tests.outreach.world import approve, attach, new_snapshot, publish

SOON = NOW + timedelta(minutes=1)


def resolve(incident, *, now=SOON):
    incident.state, incident.resolved_at, incident.ended_at = IncidentState.RESOLVED, now, NOW
    incident.version += 1
    incident.save()


def test_each_customer_hit_gets_a_draft_with_their_own_numbers(world):
    globex = make_customer("Globex")
    make_contact(globex, "Charlie")
    shoppers = make_customer("Shoppers", kind=Kind.CONSUMERS)
    make_contact(shoppers, "Cora")
    fine = make_customer("Fine")
    make_contact(fine, "Fay")
    incident = make_incident("Search is slow")
    attach(incident, make_snapshot(world.acme, globex, shoppers, now=NOW + timedelta(minutes=1)))
    publish(incident, world.alice)

    made = jobs.propose(now=NOW)
    again = jobs.propose(now=NOW)

    assert (made, again) == (3, 0)
    drafts = Outreach.objects.filter(incident=incident)
    assert {one.customer.name for one in drafts} == {"Acme", "Globex"}
    text = drafts.get(customer=globex).text
    assert "60 of Globex's 480 requests failed" in text
    assert "Acme" not in text
    assert "One of two payment servers refuses work." in text
    assert "What you can do now" in text
    assert "What you can tell your customers" in text
    assert all(one.author is None and one.state == State.DRAFT for one in drafts)


def test_a_draft_tells_their_numbers_in_their_language(world):
    dupont = make_customer("Dupont", language="fr-CA", time_zone="Europe/Paris")
    make_contact(dupont, "Chloé")
    incident = make_incident("Search is slow")
    attach(incident, make_snapshot(dupont, result={"facts": facts_of_theirs()}))
    publish(incident, world.alice)

    jobs.propose(now=NOW)

    text = Outreach.objects.get(customer=dupont).text
    assert "Ce que cela vous a fait jusqu’ici\n-----" in text
    assert "- 60 de vos 480 requêtes ont échoué le 22 novembre 2026 entre 11:04 et 11:30" in text
    assert "- Pendant 22 minutes, de 11:05:00 à 11:27:00 (heure locale\u00a0: Paris)" in text


@pytest.mark.parametrize(
    ("others", "said"),
    [([], "60 de sus 480 solicitudes fallaron"), (["de"], "60 of your 480 requests failed")],
)
def test_who_reads_the_draft_decides_the_language_when_they_agree(world, others, said):
    """All of them Spanish: Spanish. Different ones: the customer's."""
    hooli = make_customer("Hooli")
    for number, language in enumerate(["es", "es", *others]):
        make_contact(hooli, f"Person {number}", language=language, time_zone="America/Lima")
    incident = make_incident("Search is slow")
    attach(incident, make_snapshot(hooli, result={"facts": facts_of_theirs()}))
    publish(incident, world.alice)

    jobs.propose(now=NOW)

    draft = Outreach.objects.get(customer=hooli)
    assert said in draft.text
    assert "05:04 America/Lima" in draft.text
    new_snapshot(incident, hooli, story="It grew.", now=SOON + timedelta(minutes=9))
    jobs.sweep(now=SOON + timedelta(minutes=10))
    draft.refresh_from_db()
    assert "It grew." in draft.text  # of a snapshot that keeps no facts: as it was written


def test_nothing_is_proposed_before_an_update_is_published(world):
    quiet = make_incident("Quiet")
    attach(quiet, make_snapshot(world.acme, now=NOW + timedelta(minutes=1)))

    jobs.propose(now=NOW)

    assert not Outreach.objects.filter(incident=quiet).exists()


def test_recipients_are_operations_contacts_who_want_mail(world):
    make_contact(world.acme, "Exec", purpose="executive")
    make_contact(world.acme, "Quiet", do_not_contact=True)

    assert [one.name for one in world.draft().recipients.all()] == ["Bob"]


def test_who_cannot_be_mailed_is_to_be_called(world):
    world.bob.do_not_contact = True
    world.bob.save()

    assert jobs.propose(now=NOW) == 0
    (call,) = queries.to_call(world.amy)

    assert (call.customer, call.incident) == (world.acme, world.incident)


def test_an_untouched_draft_follows_the_facts(world):
    outreach = world.draft()

    new_snapshot(world.incident, world.acme, story="90 of 700 failed.")
    jobs.sweep(now=SOON)

    outreach.refresh_from_db()
    assert "90 of 700 failed." in outreach.text
    assert (outreach.state, outreach.author) == (State.DRAFT, None)


def test_equal_numbers_in_a_later_snapshot_change_nothing(world):
    outreach = world.approved()

    new_snapshot(
        world.incident,
        world.acme,
        story="60 of Acme's 480 requests failed between 10:04 and 10:30 UTC.",
    )
    jobs.sweep(now=SOON)

    outreach.refresh_from_db()
    assert outreach.state == State.APPROVED


def test_a_touched_draft_is_left_to_its_writer(world):
    outreach = world.draft()
    actions.edit(
        outreach=outreach,
        user=world.amy,
        subject="Mine",
        text="Mine.",
        recipients=[world.bob],
        now=NOW,
    )

    new_snapshot(world.incident, world.acme, story="90 of 700 failed.")
    jobs.sweep(now=SOON)

    outreach.refresh_from_db()
    assert (outreach.text, outreach.state) == ("Mine.", State.DRAFT)


def test_at_the_claim_a_changed_incident_stops_the_mail(world, sink):
    outreach = world.approved()
    world.incident.version += 1
    world.incident.state = IncidentState.MONITORING
    world.incident.save()

    jobs.drain(now=SOON)

    outreach.refresh_from_db()
    assert not sink.mails
    assert (outreach.state, outreach.deliveries.get().state) == (
        State.STALE,
        DeliveryState.WITHDRAWN,
    )
    assert "monitoring" in outreach.reason


def test_at_the_claim_a_changed_address_stops_the_mail(world, sink):
    outreach = world.approved()
    world.bob.email = "bob.two@acme.example"
    world.bob.save()

    jobs.drain(now=SOON)

    outreach.refresh_from_db()
    assert not sink.mails
    assert outreach.state == State.STALE


def test_at_the_claim_new_numbers_stop_the_mail(world, sink):
    outreach = world.approved()
    new_snapshot(world.incident, world.acme, story="90 of 700 failed.")

    jobs.drain(now=SOON)

    outreach.refresh_from_db()
    assert (sink.mails, outreach.state) == ([], State.STALE)


def test_at_the_claim_who_asked_not_to_be_contacted_is_left_alone(world, sink):
    outreach = world.approved()
    elsewhere = make_contact(
        make_customer("Globex"), "Bob", email="BOB@acme.example", do_not_contact=True
    )

    jobs.drain(now=SOON)

    row = outreach.deliveries.get()
    assert elsewhere.do_not_contact
    assert (sink.mails, row.state) == ([], DeliveryState.SUPPRESSED)
    assert "asked not to be contacted" in row.reply


def test_a_test_system_mails_only_allowed_domains(world, sink, settings):
    settings.PORTAL_MAIL_DOMAINS = ["*.example"]
    real = make_contact(world.acme, "Real", email="real@customer.com")
    sneaky = make_contact(world.acme, "Sneaky", email="sneaky@notexample")
    outreach = world.approved()

    jobs.drain(now=SOON)

    assert sink.addresses == {"bob@acme.example": 1}
    for one in (real, sneaky):
        row = outreach.deliveries.get(contact=one)
        assert row.state == DeliveryState.SUPPRESSED
        assert "PORTAL_MAIL_DOMAINS" in row.reply
    outreach.refresh_from_db()
    assert outreach.state == State.SENT


def test_what_has_expired_is_never_sent(world, sink):
    outreach = world.approved()

    jobs.drain(now=NOW + timedelta(hours=25))

    outreach.refresh_from_db()
    assert not sink.mails
    assert (outreach.state, outreach.deliveries.get().state) == (
        State.EXPIRED,
        DeliveryState.WITHDRAWN,
    )


def test_the_resolution_goes_to_everyone_who_was_told(world, sink):
    jo = make_contact(world.acme, "Jo")
    make_contact(world.acme, "Exec", purpose="executive")
    world.approved()
    jobs.drain(now=NOW)
    globex = make_customer("Globex")
    make_contact(globex, "Charlie")

    resolve(world.incident)
    jobs.sweep(now=SOON)
    jobs.sweep(now=SOON)

    resolution = Outreach.objects.get(purpose=Purpose.RESOLUTION)
    assert set(resolution.recipients.all()) == {world.bob, jo}
    assert "it is fixed" in resolution.text
    with pytest.raises(actions.UnableToEdit, match="Bob"):
        actions.edit(
            outreach=resolution, user=world.amy, subject="S", text="T", recipients=[jo], now=SOON
        )
    actions.submit(outreach=resolution, user=world.amy, now=SOON)
    approve(resolution, world.liaison, now=SOON)
    jobs.drain(now=SOON)
    assert sink.addresses == {"bob@acme.example": 2, "jo@acme.example": 2}
    second = sink.to("bob@acme.example")[1]
    assert second["In-Reply-To"] == sink.to("bob@acme.example")[0]["Message-ID"]
    assert second["Subject"] == sink.to("bob@acme.example")[0]["Subject"]


def test_who_is_told_late_is_added_to_the_resolution(world, sink):
    outreach = world.approved()
    Delivery.objects.update(send_after=SOON + timedelta(hours=1))
    jo = make_contact(world.acme, "Jo")
    resolve(world.incident)
    Outreach.objects.filter(pk=outreach.pk).update(incident_version=world.incident.version)
    assert not Outreach.objects.filter(purpose=Purpose.RESOLUTION).exists()

    actions.withdraw(outreach=outreach, user=world.amy, now=SOON)
    actions.edit(
        outreach=outreach, user=world.amy, subject="S", text="T", recipients=[world.bob], now=SOON
    )
    actions.submit(outreach=outreach, user=world.amy, now=SOON)
    approve(outreach, world.liaison, now=SOON)
    jobs.drain(now=SOON)
    jobs.sweep(now=SOON)
    resolution = Outreach.objects.get(purpose=Purpose.RESOLUTION)
    assert list(resolution.recipients.all()) == [world.bob]

    Outreach.objects.filter(pk=outreach.pk).update(state=State.SENDING)
    outreach.refresh_from_db()
    actions.edit(
        outreach=outreach,
        user=world.amy,
        subject="S",
        text="T2",
        recipients=[world.bob, jo],
        now=SOON,
    )
    actions.submit(outreach=outreach, user=world.amy, now=SOON)
    approve(outreach, world.liaison, now=SOON)
    jobs.drain(now=SOON)
    actions.submit(outreach=resolution, user=world.amy, now=SOON)
    jobs.sweep(now=SOON)

    resolution.refresh_from_db()
    assert set(resolution.recipients.all()) == {world.bob, jo}
    assert resolution.state == State.STALE


def test_old_incidents_are_left_alone(world):
    resolve(world.incident, now=NOW)

    assert jobs.propose(now=NOW + timedelta(days=15)) == 0


def test_the_opening_says_whether_it_goes_on(world):
    said = []
    for state, ended_at in (("identified", None), ("monitoring", NOW), ("resolved", NOW)):
        world.incident.state, world.incident.ended_at = state, ended_at
        facts = jobs.facts_for(world.incident, world.acme)
        said.append(drafting.text(facts, purpose="impact").splitlines()[0])
    said.append(drafting.text(facts, purpose="resolution").splitlines()[0])
    when = "10:04 to 10:30 UTC (11:04 to 11:30 Europe/Berlin) on Sunday 22 November"

    title = "Checkout fails for some."
    assert said == [
        f"since 10:04 UTC (11:04 Europe/Berlin) on Sunday 22 November we have a problem: {title}",
        f"from {when} we had a problem: {title} It seems to be over; we are watching.",
        f"from {when} we had a problem: {title} It is over.",
        f"it is fixed: {title} It lasted from {when}.",
    ]


def test_over_midnight_both_days_are_named(world):
    world.incident.started_at = NOW - timedelta(hours=11)
    world.incident.ended_at = NOW
    world.incident.state = "resolved"
    facts = jobs.facts_for(world.incident, world.acme)

    opening = drafting.text(facts, purpose="impact").splitlines()[0]

    assert "from 23:30 UTC (00:30 Europe/Berlin) until 22 November, 10:30 UTC" in opening
    assert "on Saturday 21 November" in opening


def test_a_time_zone_that_does_not_exist_is_utc(world):
    for wrong in ("Mars/Olympus", "../../etc/passwd", "", "\x00"):
        world.acme.time_zone = wrong
        facts = jobs.facts_for(world.incident, world.acme)
        assert "since 10:04 UTC on Sunday" in drafting.text(facts, purpose="impact")
