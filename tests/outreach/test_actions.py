"""Who may do what with a message, and every way in which it is refused."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction

from apps.accounts.models import AuditEvent, Role
from apps.outreach import actions, jobs
from apps.outreach.actions import (
    UnableToApprove,
    UnableToEdit,
    UnableToSettle,
    UnableToStop,
    UnableToSubmit,
)
from apps.outreach.content import content_hash
from apps.outreach.models import Approval, Delivery, DeliveryState, State
from tests.factories import NOW, make_contact, make_customer, make_user
from tests.outreach.world import approve, new_snapshot

SOON = NOW + timedelta(minutes=1)


def edit(outreach, user, **changes):
    outreach.refresh_from_db()
    given = {
        "subject": outreach.subject,
        "text": outreach.text,
        "recipients": list(outreach.recipients.all()),
        **changes,
    }
    return actions.edit(outreach=outreach, user=user, now=SOON, **given)


def test_the_machines_draft_needs_one_person_to_take_it_and_another_to_approve(world):
    outreach = world.draft()
    assert outreach.author is None
    with pytest.raises(UnableToApprove, match="not in review"):
        approve(outreach, world.liaison)

    actions.submit(outreach=outreach, user=world.amy, now=NOW)
    with pytest.raises(UnableToApprove, match="somebody else"):
        approve(outreach, world.amy)
    approve(outreach, world.liaison)

    outreach.refresh_from_db()
    assert (outreach.state, outreach.author) == (State.APPROVED, world.amy)
    row = outreach.deliveries.get()
    assert row.content_hash == Approval.objects.get().content_hash
    assert row.message_id.endswith("@example.com>")
    assert AuditEvent.objects.filter(action="outreach.approved", user=world.liaison).count() == 1


def test_the_last_editor_cannot_approve(world):
    outreach = world.draft()
    edit(outreach, world.amy, text="One.")
    edit(outreach, world.liaison, text="Two.")
    actions.submit(outreach=outreach, user=world.amy, now=SOON)

    for person in (world.amy, world.liaison):
        with pytest.raises(UnableToApprove, match="somebody else"):
            approve(outreach, person)
    approve(outreach, world.alice)


def test_only_what_the_approver_saw_can_be_approved(world):
    outreach = world.draft()
    edit(outreach, world.amy, text="As read by Ben.")
    actions.submit(outreach=outreach, user=world.amy, now=SOON)
    outreach.refresh_from_db()
    seen = content_hash(outreach, outreach.recipients.all())
    edit(outreach, world.amy, text="As changed a second later.")
    actions.submit(outreach=outreach, user=world.amy, now=SOON)

    with pytest.raises(UnableToApprove, match="changed since you opened it"):
        actions.approve(outreach=outreach, approver=world.liaison, content_hash_seen=seen, now=SOON)
    assert not Delivery.objects.exists()


@pytest.mark.parametrize("role", [Role.VIEWER, Role.CUSTOMER])
def test_who_may_not_approve_cannot(world, role):
    outreach = world.in_review()

    with pytest.raises(UnableToApprove, match="role"):
        approve(outreach, make_user("Eve", role=role))


def test_an_account_manager_of_another_customer_can_do_nothing(world):
    outreach = world.in_review()
    mallory = make_user("Mallory", role=Role.ACCOUNT_MANAGER)

    with pytest.raises(UnableToApprove, match="role"):
        approve(outreach, mallory)
    with pytest.raises(UnableToEdit, match="role"):
        edit(outreach, mallory, text="x")
    with pytest.raises(UnableToStop, match="role"):
        actions.withdraw(outreach=outreach, user=mallory, now=SOON)


def test_the_words_are_checked(world):
    outreach = world.draft()

    for subject in ("a\r\nBcc: all@acme.example", "a\nb", "a\x00b", "a\u2028b"):
        with pytest.raises(UnableToEdit, match="one line"):
            edit(outreach, world.amy, subject=subject)
    with pytest.raises(UnableToEdit, match="subject"):
        edit(outreach, world.amy, subject="  ")
    with pytest.raises(UnableToEdit, match="200"):
        edit(outreach, world.amy, subject="x" * 201)
    with pytest.raises(UnableToEdit, match="Write what"):
        edit(outreach, world.amy, text=" \n")
    with pytest.raises(UnableToEdit, match="characters that no mail"):
        edit(outreach, world.amy, text="a\x00b")


def test_recipients_are_the_customers_own_and_willing(world):
    outreach = world.draft()
    stranger = make_contact(make_customer("Globex"), "Charlie")
    unwilling = make_contact(world.acme, "Dan", do_not_contact=True)

    with pytest.raises(UnableToEdit, match="not at Acme"):
        edit(outreach, world.amy, recipients=[stranger])
    with pytest.raises(UnableToEdit, match="asked not to be contacted"):
        edit(outreach, world.amy, recipients=[unwilling])
    edit(outreach, world.amy, recipients=[])
    with pytest.raises(UnableToSubmit, match="at least one person"):
        actions.submit(outreach=outreach, user=world.amy, now=SOON)


def test_nobody_else_to_approve_is_said_at_once(world):
    outreach = world.draft()
    for person in (world.alice, world.liaison):
        person.is_active = False
        person.save()

    with pytest.raises(UnableToSubmit, match="nobody else"):
        actions.submit(outreach=outreach, user=world.amy, now=NOW)


def test_a_change_after_approval_makes_it_stale_and_withdraws_what_waits(world, sink):
    outreach = world.approved()

    edit(outreach, world.amy, text="Other words.")

    outreach.refresh_from_db()
    assert (outreach.state, outreach.deliveries.get().state) == (
        State.STALE,
        DeliveryState.WITHDRAWN,
    )
    jobs.drain(now=SOON)
    assert not sink.mails
    actions.submit(outreach=outreach, user=world.amy, now=SOON)
    approve(outreach, world.liaison)
    jobs.drain(now=SOON)
    assert sink.addresses == {"bob@acme.example": 1}


def test_saving_without_a_change_changes_nothing(world):
    outreach = world.approved()

    edit(outreach, world.amy)

    outreach.refresh_from_db()
    assert outreach.state == State.APPROVED


def test_a_second_approval_goes_only_to_those_who_have_not_had_it(world, sink):
    outreach = world.approved()
    jobs.drain(now=NOW)
    outreach.refresh_from_db()
    assert outreach.state == State.SENT
    with pytest.raises(UnableToEdit, match="is sent"):
        edit(outreach, world.amy, text="Again.")

    # One had it, one still waits when the words change.
    outreach.state = State.SENDING
    outreach.save()
    jo = make_contact(world.acme, "Jo")
    edit(outreach, world.amy, text="Again.", recipients=[world.bob, jo])
    actions.submit(outreach=outreach, user=world.amy, now=SOON)
    approve(outreach, world.liaison)
    jobs.drain(now=SOON)

    assert sink.addresses == {"bob@acme.example": 1, "jo@acme.example": 1}


def test_pause_holds_and_resume_lets_go(world, sink):
    outreach = world.approved()

    actions.pause(outreach=outreach, user=world.amy, now=NOW)
    jobs.sweep(now=SOON)
    jobs.drain(now=SOON)
    assert not sink.mails
    with pytest.raises(UnableToStop, match="nothing to hold"):
        actions.pause(outreach=outreach, user=world.amy, now=NOW)
    actions.resume(outreach=outreach, user=world.amy, now=SOON)
    with pytest.raises(UnableToStop, match="not held"):
        actions.resume(outreach=outreach, user=world.amy, now=SOON)
    jobs.drain(now=SOON)

    assert sink.addresses == {"bob@acme.example": 1}


def test_withdraw_makes_it_a_draft_that_can_be_approved_again(world, sink):
    outreach = world.approved()

    actions.withdraw(outreach=outreach, user=world.amy, now=NOW)
    jobs.drain(now=SOON)
    assert not sink.mails
    outreach.refresh_from_db()
    assert outreach.state == State.DRAFT
    with pytest.raises(UnableToStop, match="nothing to take back"):
        actions.withdraw(outreach=outreach, user=world.amy, now=NOW)
    actions.submit(outreach=outreach, user=world.amy, now=SOON)
    approve(outreach, world.liaison)
    jobs.drain(now=SOON)

    assert sink.addresses == {"bob@acme.example": 1}


def test_send_back_needs_words(world):
    outreach = world.in_review()

    with pytest.raises(UnableToApprove, match="Say what"):
        actions.send_back(outreach=outreach, user=world.liaison, reason=" ", now=NOW)
    actions.send_back(outreach=outreach, user=world.liaison, reason="Too long.", now=NOW)

    outreach.refresh_from_db()
    assert (outreach.state, outreach.reason) == (State.DRAFT, "Ben: Too long.")


def test_close_says_why_and_waits_for_the_post(world):
    outreach = world.approved()

    with pytest.raises(UnableToStop, match="still waits"):
        actions.close(outreach=outreach, user=world.amy, reason="no", now=NOW)
    actions.withdraw(outreach=outreach, user=world.amy, now=NOW)
    with pytest.raises(UnableToStop, match="Say why"):
        actions.close(outreach=outreach, user=world.amy, reason="", now=NOW)
    actions.close(outreach=outreach, user=world.amy, reason="We phoned them.", now=NOW)
    with pytest.raises(UnableToStop, match="closed already"):
        actions.close(outreach=outreach, user=world.amy, reason="x", now=NOW)

    assert jobs.propose(now=SOON) == 0


@pytest.mark.parametrize(
    ("outcome", "state", "mails"),
    [
        ("arrived", DeliveryState.ACCEPTED, 0),
        ("send_again", DeliveryState.ACCEPTED, 1),
        ("give_up", DeliveryState.FAILED, 0),
    ],
)
def test_a_person_settles_what_nobody_knows(world, sink, outcome, state, mails):
    outreach = world.approved()
    row = outreach.deliveries.get()
    Delivery.objects.update(state=DeliveryState.CLAIMED)
    Delivery.objects.update(state=DeliveryState.SUBMITTING, lease_until=NOW)
    jobs.sweep(now=SOON)

    with pytest.raises(UnableToSettle, match="Say whether"):
        actions.settle_unknown(delivery=row, outcome="nonsense", user=world.amy, now=SOON)
    actions.settle_unknown(delivery=row, outcome=outcome, user=world.amy, now=SOON)
    with pytest.raises(UnableToSettle, match="settled already"):
        actions.settle_unknown(delivery=row, outcome=outcome, user=world.amy, now=SOON)
    jobs.drain(now=SOON)

    after = outreach.deliveries.get()
    assert (after.state, len(sink.mails)) == (state, mails)
    assert after.message_id == row.message_id


def test_a_changed_incident_stops_review_until_somebody_has_read_what_changed(world):
    outreach = world.in_review()
    world.incident.version = 2
    world.incident.save()

    with pytest.raises(UnableToApprove, match="incident has changed"):
        approve(outreach, world.liaison)
    jobs.sweep(now=SOON)
    outreach.refresh_from_db()
    assert outreach.state == State.STALE
    with pytest.raises(UnableToSubmit, match="incident has changed"):
        actions.submit(outreach=outreach, user=world.amy, now=SOON)
    edit(outreach, world.amy, text="As it is now.", incident_version_seen=2)
    actions.submit(outreach=outreach, user=world.amy, now=SOON)
    approve(outreach, world.liaison)


def test_newer_numbers_do_not_stop_a_review_but_an_approval(world, sink):
    outreach = world.in_review()
    new_snapshot(world.incident, world.acme, story="90 of 700 failed.")
    jobs.sweep(now=SOON)
    approve(outreach, world.liaison)
    new_snapshot(world.incident, world.acme, story="95 of 720 failed.")

    jobs.drain(now=SOON)

    outreach.refresh_from_db()
    assert (outreach.state, sink.mails) == (State.STALE, [])
    assert "numbers have changed since it was approved" in outreach.reason


def test_what_was_approved_in_sight_of_newer_numbers_is_sent(world, sink):
    outreach = world.in_review()
    new_snapshot(world.incident, world.acme, story="90 of 700 failed.")
    approve(outreach, world.liaison)

    jobs.sweep(now=SOON)
    jobs.drain(now=SOON)

    assert sink.addresses == {"bob@acme.example": 1}


def test_write_anew_takes_up_what_is_known_now(world):
    outreach = world.in_review()
    new_snapshot(world.incident, world.acme, story="90 of 700 failed.")

    actions.write_anew(outreach=outreach, user=world.liaison, now=SOON)

    outreach.refresh_from_db()
    assert "90 of 700 failed." in outreach.text
    assert (outreach.state, outreach.edited_by) == (State.DRAFT, world.liaison)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("accepted", "queued"),
        ("unknown", "withdrawn"),
        ("submitting", "withdrawn"),
        ("queued", "submitting"),
    ],
)
def test_the_database_refuses_to_turn_a_row_back(world, before, after):
    row = world.approved().deliveries.get()
    for state in {"queued": [], "accepted": ["claimed", "submitting", "accepted"]}.get(
        before, ["claimed", "submitting", before]
    ):
        Delivery.objects.filter(pk=row.pk).update(state=state)

    with pytest.raises(IntegrityError), transaction.atomic():
        Delivery.objects.filter(pk=row.pk).update(state=after)


def test_approvals_are_for_ever(world):
    world.approved()

    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM outreach_approval")
