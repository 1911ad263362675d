"""What people do with an incident, and everything that is refused."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction

from apps.accounts.models import AuditEvent, Role
from apps.impact.models import ImpactRun
from apps.incidents import actions
from apps.incidents.models import Incident, IncidentRun, State, TimelineEvent, Update, Visibility
from tests.factories import NOW, make_incident, make_service, make_user
from tests.incidents.world import LATER, declared, drafted, finish_all

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice():
    return make_user()


def test_declaring_asks_for_the_impact(alice):
    shop = make_service()
    incident = declared(alice, services=[shop])

    run = incident.runs.get().run
    assert (incident.state, incident.lead, incident.version) == (State.INVESTIGATING, alice, 1)
    assert run.window_from < incident.started_at
    assert run.window_to == NOW
    assert run.service == shop
    assert incident.timeline.get().kind == "declared"
    assert AuditEvent.objects.get(action="incident.declare").after["services"] == ["shop"]


def test_two_services_are_computed_over_all(alice):
    incident = declared(alice, services=[make_service(), make_service("Search")])
    assert incident.runs.get().run.service is None


def test_a_known_end_closes_the_window(alice):
    end = NOW - timedelta(minutes=5)
    incident = declared(alice, ended_at=end)
    run = incident.runs.get().run
    assert (incident.ended_at, run.window_to) == (end, end)
    assert run.window_from == incident.started_at, "what went well before it is no part of it"
    assert incident.is_live


@pytest.mark.parametrize(
    "columns",
    [
        {"title": "  "},
        {"title": "x" * 201},
        {"cannot": "x" * 301},
        {"started_at": NOW + timedelta(seconds=1)},
        {"ended_at": NOW + timedelta(seconds=1)},
        {"ended_at": NOW - timedelta(hours=1)},
        {"fault": "theirs"},
        {"visibility": "nobody"},
    ],
)
def test_refuses_to_declare(alice, columns):
    with pytest.raises(actions.UnableToDeclare):
        declared(alice, **columns)
    assert not Incident.objects.exists()
    assert not ImpactRun.objects.exists()


@pytest.mark.parametrize("role", [Role.VIEWER, Role.ACCOUNT_MANAGER, Role.CUSTOMER])
def test_roles_that_may_do_nothing(alice, role):
    incident = declared(alice)
    update = drafted(incident, alice)
    reader = make_user("Reader", role=role)
    common = {"incident": incident, "user": reader, "now": NOW}
    for refused, call in [
        (actions.UnableToDeclare, lambda: declared(reader)),
        (actions.UnableToRequestImpact, lambda: actions.request_impact(**common)),
        (
            actions.UnableToChangeState,
            lambda: actions.change_state(**common, state=State.MONITORING),
        ),
        (actions.UnableToDraft, lambda: drafted(incident, reader)),
        (
            actions.UnableToDraft,
            lambda: actions.discard_draft(update=update, user=reader, now=NOW),
        ),
        (
            actions.UnableToPublish,
            lambda: actions.publish_update(update=update, user=reader, now=NOW),
        ),
        (actions.UnableToPublish, lambda: actions.resolve(**common, text="Over.")),
        (
            actions.UnableToSetSeverity,
            lambda: actions.set_severity(**common, kind="business", level=1, reason="r"),
        ),
        (
            actions.UnableToEdit,
            lambda: actions.edit(
                **common,
                version_seen=1,
                title="T",
                cannot="",
                fault="ours",
                visibility="public",
                lead=None,
                liaison=None,
            ),
        ),
    ]:
        with pytest.raises(refused):
            call()


def test_a_liaison_writes_and_a_lead_publishes(alice):
    ben = make_user("Ben", role=Role.LIAISON)
    incident = declared(alice)
    update = drafted(incident, ben)
    with pytest.raises(actions.UnableToPublish):
        actions.publish_update(update=update, user=ben, now=NOW)

    published = actions.publish_update(update=update, user=alice, now=NOW)

    incident.refresh_from_db()
    assert (published.author, published.published_by) == (ben, alice)
    assert (incident.state, incident.next_update_at) == (State.IDENTIFIED, LATER)
    assert incident.version == 2
    assert incident.timeline.filter(kind="update").count() == 1


def test_publishing_wakes_the_pages_and_the_messages(alice, settings, monkeypatch):
    from django.test import TestCase

    from apps.core import nudge

    settings.PORTAL_NUDGES = True
    sent = []
    monkeypatch.setattr(nudge, "_send", lambda task, queue: sent.append(task))
    with TestCase.captureOnCommitCallbacks(execute=True):
        incident = declared(alice)
        actions.publish_update(update=drafted(incident, alice), user=alice, now=NOW)
    assert sent == ["impact.run", "statuspage.render", "outreach.sweep"]


def test_an_update_is_published_once(alice):
    update = drafted(declared(alice), alice)
    actions.publish_update(update=update, user=alice, now=NOW)
    with pytest.raises(actions.UnableToPublish, match="Alice published this update at 10:30 UTC"):
        actions.publish_update(update=update, user=make_user("Ada"), now=LATER)
    assert Update.objects.get().published_at == NOW


def test_only_what_was_read_is_published(alice):
    incident = declared(alice)
    read = drafted(incident, alice)
    drafted(incident, alice, text="Something else.", revision_seen=read.revision)
    with pytest.raises(actions.UnableToPublish, match="changed since you read it"):
        actions.publish_update(update=read, revision_seen=read.revision, user=alice, now=NOW)


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"text": " \n "}, "empty"),
        ({"next_update_at": None}, "hear from us next"),
        ({"next_update_at": NOW}, "has passed"),
    ],
)
def test_refuses_to_publish(alice, columns, says):
    incident = declared(alice)
    update = drafted(incident, alice, **columns)
    with pytest.raises(actions.UnableToPublish, match=says):
        actions.publish_update(update=update, user=alice, now=NOW)
    incident.refresh_from_db()
    assert incident.version == 1


def test_refuses_to_publish_what_was_thrown_away(alice):
    update = drafted(declared(alice), alice)
    actions.discard_draft(update=update, user=alice, now=NOW)
    assert not Update.objects.exists()
    update.pk = update.pk or 1
    with pytest.raises(actions.UnableToPublish, match="thrown away"):
        actions.publish_update(update=update, user=alice, now=NOW)


def test_a_draft_of_another_is_not_overwritten(alice):
    incident = declared(alice)
    first = drafted(incident, alice)
    with pytest.raises(actions.DraftConflict) as refused:
        drafted(incident, make_user("Ben", role=Role.LIAISON), text="Mine.")
    assert refused.value.update == first
    changed = drafted(incident, alice, text="Better.", revision_seen=1)
    assert (changed.pk, changed.revision) == (first.pk, 2)
    with pytest.raises(actions.DraftConflict):
        drafted(incident, alice, text="Worse.", revision_seen=1)
    assert Update.objects.get().text == "Better."


def test_a_draft_that_is_gone_is_said_so(alice):
    incident = declared(alice)
    actions.publish_update(update=drafted(incident, alice), user=alice, now=NOW)
    with pytest.raises(actions.DraftConflict, match="published or thrown away"):
        drafted(incident, alice, revision_seen=1)


@pytest.mark.parametrize(
    "columns",
    [{"text": "x" * 5001}, {"advice": "x" * 2001}, {"state": "gone"}, {"state": State.REVIEWED}],
)
def test_refuses_to_draft(alice, columns):
    incident = declared(alice)
    with pytest.raises(actions.UnableToDraft):
        drafted(incident, alice, **columns)


def test_resolving_tells_and_computes_a_last_time(alice):
    incident = declared(alice)
    actions.publish_update(update=drafted(incident, alice), user=alice, now=NOW)
    finish_all(incident)
    end = NOW + timedelta(minutes=4)
    now = NOW + timedelta(minutes=10)

    final = actions.resolve(
        incident=incident, text="It works again.", ended_at=end, user=alice, now=now
    )

    incident.refresh_from_db()
    assert final.published_at == now
    assert (incident.state, incident.ended_at, incident.resolved_at) == (State.RESOLVED, end, now)
    assert incident.next_update_at is None
    last = incident.runs.order_by("-pk")[0].run
    assert (last.state, last.window_to) == ("queued", end)


def test_resolving_takes_over_the_draft_that_was_read(alice):
    incident = declared(alice)
    draft = drafted(incident, alice)
    with pytest.raises(actions.DraftConflict):
        actions.resolve(incident=incident, text="Over.", user=alice, now=NOW)
    final = actions.resolve(
        incident=incident, text="Over.", user=alice, now=NOW, revision_seen=draft.revision
    )
    assert (final.pk, final.text, final.state) == (draft.pk, "Over.", State.RESOLVED)


@pytest.mark.parametrize(
    "columns",
    [
        {"text": " "},
        {"ended_at": NOW + timedelta(hours=1)},
        {"ended_at": NOW - timedelta(hours=1)},
        {"text": "x" * 5001},
    ],
)
def test_refuses_to_resolve(alice, columns):
    incident = declared(alice)
    with pytest.raises(actions.UnableToPublish):
        actions.resolve(
            **{"incident": incident, "text": "Over.", "user": alice, "now": NOW, **columns}
        )
    incident.refresh_from_db()
    assert incident.is_live
    assert not Update.objects.filter(published_at__isnull=False).exists()


def test_resolved_is_not_resolved_again(alice):
    incident = declared(alice)
    actions.resolve(incident=incident, text="Over.", user=alice, now=NOW)
    with pytest.raises(actions.UnableToPublish, match="resolved already"):
        actions.resolve(incident=incident, text="Over.", user=alice, now=NOW)


def test_after_the_end_a_correction_can_be_told(alice):
    incident = declared(alice)
    actions.resolve(incident=incident, text="Over.", user=alice, now=NOW)
    resolved_at = Incident.objects.get().resolved_at
    correction = drafted(incident, alice, state=State.RESOLVED, text="It was 312, not 300.")
    actions.publish_update(update=correction, user=alice, now=LATER)
    incident.refresh_from_db()
    assert (incident.state, incident.resolved_at) == (State.RESOLVED, resolved_at)
    assert correction.next_update_at is None


def test_telling_that_it_is_back_reopens(alice):
    incident = declared(alice)
    actions.resolve(incident=incident, text="Over.", user=alice, now=NOW)
    back = drafted(
        incident, alice, state=State.REOPENED, next_update_at=LATER + timedelta(minutes=15)
    )
    actions.publish_update(update=back, user=alice, now=LATER)
    incident.refresh_from_db()
    assert (incident.state, incident.resolved_at, incident.ended_at) == (State.REOPENED, None, None)


# Changing state


def test_forward_needs_no_reason_and_back_does(alice):
    incident = declared(alice)
    actions.change_state(incident=incident, state=State.MONITORING, user=alice, now=NOW)
    with pytest.raises(actions.UnableToChangeState, match="Say why"):
        actions.change_state(incident=incident, state=State.INVESTIGATING, user=alice, now=NOW)
    changed = actions.change_state(
        incident=incident, state=State.INVESTIGATING, reason="It is back.", user=alice, now=NOW
    )
    assert (changed.state, changed.version) == (State.INVESTIGATING, 3)
    assert "It is back." in incident.timeline.latest("pk").text


@pytest.mark.parametrize("state", [State.RESOLVED, State.REVIEWED, State.REOPENED, "gone"])
def test_refuses_states_that_do_not_follow(alice, state):
    with pytest.raises(actions.UnableToChangeState):
        actions.change_state(incident=declared(alice), state=state, reason="r", user=alice, now=NOW)


def test_dismissing_needs_a_reason_and_that_nobody_was_told(alice):
    incident = declared(alice)
    with pytest.raises(actions.UnableToChangeState, match="Say why"):
        actions.change_state(incident=incident, state=State.DISMISSED, user=alice, now=NOW)
    other = declared(alice)
    actions.publish_update(update=drafted(other, alice), user=alice, now=NOW)
    with pytest.raises(actions.UnableToChangeState, match="have been told"):
        actions.change_state(incident=other, state=State.DISMISSED, reason="r", user=alice, now=NOW)

    actions.change_state(
        incident=incident, state=State.DISMISSED, reason="A test.", user=alice, now=NOW
    )
    with pytest.raises(actions.UnableToDraft, match="dismissed"):
        drafted(incident, alice)


def test_reopening_clears_the_end_and_computes_again(alice):
    incident = declared(alice)
    actions.resolve(incident=incident, text="Over.", user=alice, now=NOW)
    finish_all(incident)
    actions.change_state(
        incident=incident, state=State.REOPENED, reason="Cards fail again.", user=alice, now=LATER
    )
    incident.refresh_from_db()
    assert (incident.resolved_at, incident.ended_at) == (None, None)
    assert incident.runs.order_by("-pk")[0].run.window_to == LATER


# Impact and severity


def test_one_computation_waits_at_a_time(alice):
    incident = declared(alice)
    with pytest.raises(actions.UnableToRequestImpact, match="already"):
        actions.request_impact(incident=incident, user=alice, now=LATER)
    finish_all(incident)
    run = actions.request_impact(incident=incident, user=alice, now=LATER)
    assert run.run.window_to == LATER
    assert IncidentRun.objects.count() == 2


def test_confirming_and_changing_a_severity(alice):
    incident = make_incident()
    common = {"incident": incident, "user": alice, "now": NOW}
    with pytest.raises(actions.UnableToSetSeverity, match="Say why"):
        actions.set_severity(**common, kind="business", level=2)
    incident.severities.create(kind="business", level=2, reason="2 of 4 customers hit")
    kept = actions.set_severity(**common, kind="business", level=2)
    assert (kept.reason, kept.confirmed_by) == ("2 of 4 customers hit", alice)
    with pytest.raises(actions.UnableToSetSeverity, match="Say why"):
        actions.set_severity(**common, kind="business", level=1)
    worse = actions.set_severity(**common, kind="business", level=1, reason="Their peak day")
    assert (worse.pk, worse.level) == (kept.pk, 1)
    for wrong in ({"kind": "pets", "level": 1}, {"kind": "business", "level": 5}):
        with pytest.raises(actions.UnableToSetSeverity):
            actions.set_severity(**common, **wrong, reason="r")


# Editing


def change(incident, user, **columns):
    return actions.edit(
        **{
            "incident": incident,
            "version_seen": incident.version,
            "title": incident.title,
            "cannot": incident.cannot,
            "fault": incident.fault,
            "visibility": incident.visibility,
            "lead": incident.lead,
            "liaison": incident.liaison,
            "user": user,
            "now": NOW,
            **columns,
        }
    )


def test_editing_raises_the_version(alice):
    incident = declared(alice)
    ben = make_user("Ben", role=Role.LIAISON)
    changed = change(incident, alice, title="Payments fail", liaison=ben)
    assert (changed.version, changed.title, changed.liaison) == (2, "Payments fail", ben)
    note = AuditEvent.objects.get(action="incident.edit")
    assert note.before["title"] == "Checkout fails for some"
    assert TimelineEvent.objects.filter(kind="edit", text="Changed: title, liaison").exists()


def test_a_stale_edit_is_a_conflict_that_shows_both(alice):
    incident = declared(alice)
    change(incident, make_user("Ada"), title="Theirs")
    with pytest.raises(actions.Conflict) as refused:
        change(incident, alice, title="Mine")
    assert refused.value.incident.title == "Theirs"
    assert Incident.objects.get().title == "Theirs"


def test_a_stale_edit_that_changes_nothing_is_none(alice):
    incident = declared(alice)
    change(incident, make_user("Ada"), title="Same")
    assert change(incident, alice, title="Same").version == 2


def test_an_earlier_start_is_computed_anew(alice):
    incident = declared(alice)
    earlier = incident.started_at - timedelta(minutes=10)
    change(incident, alice, started_at=earlier)
    assert incident.runs.count() == 2
    assert incident.runs.latest("pk").run.window_from < earlier


def test_what_was_told_cannot_become_internal(alice):
    incident = declared(alice)
    actions.publish_update(update=drafted(incident, alice), user=alice, now=NOW)
    incident.refresh_from_db()
    with pytest.raises(actions.UnableToEdit, match="have been told"):
        change(incident, alice, visibility=Visibility.INTERNAL)


@pytest.mark.parametrize(
    "columns",
    [{"title": ""}, {"fault": "x"}, {"visibility": "x"}, {"started_at": NOW + timedelta(days=1)}],
)
def test_refuses_to_edit(alice, columns):
    with pytest.raises(actions.UnableToEdit):
        change(declared(alice), alice, **columns)


# What the database refuses


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE incidents_update SET text = 'never said'",
        "UPDATE incidents_update SET published_at = NULL",
        "DELETE FROM incidents_update",
        "UPDATE incidents_timelineevent SET text = 'never happened'",
        "DELETE FROM incidents_timelineevent",
    ],
)
def test_history_cannot_be_rewritten(alice, sql):
    actions.publish_update(update=drafted(declared(alice), alice), user=alice, now=NOW)
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql)
