"""The picture in a mail: the customer's own numbers, drawn before approval, sent as it was approved."""

import pytest
from django.db import IntegrityError, transaction

from apps.impact.pictures import attempts_of_theirs
from apps.outreach import actions, jobs
from apps.outreach.content import after_first_list, as_html, content_hash, is_whole
from apps.outreach.jobs.illustrating import to_illustrate
from apps.outreach.mail import CannotBeWritten, Skeleton
from apps.outreach.models import Delivery, Picture, State
from tests.factories import NOW, facts_of_theirs, make_contact, make_snapshot
from tests.outreach.test_pages import form_of, url
from tests.outreach.world import approve, attach


def ended(journey="Pay", **detail):
    """What the story tells a customer of one journey of theirs."""
    return {
        "kind": "theirs_ended",
        "basis": f"customers.journeys.{journey}",
        "who": journey,
        "value": 60,
        "detail": {
            "from": "2026-11-03T10:04:00Z", "to": "2026-11-03T10:30:00Z", "consumers": False,
            "verb": "pay", "attempts": 412, "through": 28, "retried": 28, "gave_up": 32,
            "came_back": 0, "open": 0, "cannot_tell": 0, **detail,
        },
    }  # fmt: skip


def pictured(world, *facts):
    """A draft about these facts, after the worker has been at it."""
    attach(world.incident, make_snapshot(world.acme, result={"facts": list(facts or [ended()])}))
    outreach = world.draft()
    jobs.illustrate(now=NOW)
    outreach.refresh_from_db()
    return outreach


def shows(outreach):
    return bytes(outreach.picture.png)


def test_what_was_approved_is_what_arrives(client, world, sink):
    make_contact(world.acme, "Żaneta", email="zaneta@acme.example")
    outreach = pictured(world)
    picture = outreach.picture
    assert picture.title == "What became of your attempts"
    assert picture.alt == "Pay: at the first try 352, on another try 28, gave up 32."
    assert picture.size[0] <= 600
    assert len(picture.png) < 30_000
    client.force_login(world.amy)
    page = client.get(url("preview", outreach))
    assert "data:image/png;base64," in page.text
    assert "img-src data:" in page["Content-Security-Policy"]
    assert "Send it without the picture" in client.get(url("detail", outreach)).text
    actions.submit(outreach=outreach, user=world.amy, now=NOW)
    approve(outreach, world.liaison)

    jobs.illustrate(now=NOW)
    jobs.drain(now=NOW)

    assert sink.addresses == {"bob@acme.example": 1, "zaneta@acme.example": 1}
    for address in sink.addresses:
        (mail,) = sink.to(address)
        assert mail.get_content_type() == "multipart/alternative"
        plain, related = mail.iter_parts()
        assert plain.get_content().replace("\r\n", "\n").endswith(f",\n\n{outreach.text}\n")
        html, image = related.iter_parts()
        assert image.get_content() == shows(outreach)
        assert image["Content-Disposition"].content_disposition == "inline"
        page = html.get_content()
        assert f'src="cid:{image["Content-ID"].strip("<>")}"' in page
        assert f'alt="{picture.alt}"' in page
        assert page.index("</ul>") < page.index("<img") < page.index("What we know")


def test_a_picture_that_came_after_the_page_stops_an_approval_but_no_writer(world):
    attach(world.incident, make_snapshot(world.acme, result={"facts": [ended()]}))
    outreach = world.draft()
    before = content_hash(outreach, outreach.recipients.all())
    jobs.illustrate(now=NOW)
    outreach.refresh_from_db()
    assert content_hash(outreach, outreach.recipients.all()) != before

    actions.edit(
        outreach=outreach, user=world.amy, subject="S", text="Our own words.",
        recipients=[world.bob], content_hash_seen=before, now=NOW,
    )  # fmt: skip
    actions.submit(outreach=outreach, user=world.amy, now=NOW)
    outreach.refresh_from_db()
    unseen = content_hash(outreach, outreach.recipients.all(), pictured=False)

    with pytest.raises(actions.UnableToApprove, match="changed since you opened it"):
        actions.approve(
            outreach=outreach, approver=world.liaison, content_hash_seen=unseen, now=NOW
        )
    assert not Delivery.objects.exists()


def test_a_picture_of_other_numbers_goes_and_another_comes(world):
    outreach = pictured(world)
    first = outreach.picture
    attach(
        world.incident,
        make_snapshot(world.acme, result={"facts": [ended(attempts=500, gave_up=40)]}),
    )

    actions.write_anew(outreach=outreach, user=world.amy, now=NOW)
    outreach.refresh_from_db()
    assert outreach.picture is None
    assert jobs.illustrate(now=NOW) == 1

    outreach.refresh_from_db()
    assert outreach.picture.alt == "Pay: at the first try 432, on another try 28, gave up 40."
    assert shows(outreach) != bytes(first.png)
    assert not to_illustrate().exists()


def test_the_writer_may_send_it_without(client, world, sink):
    outreach = pictured(world)
    client.force_login(world.amy)

    answer = client.post(url("edit", outreach), form_of(outreach, drop_picture="on", then="submit"))

    assert answer.status_code == 303
    assert jobs.illustrate(now=NOW) == 0, "nobody draws it again"
    outreach.refresh_from_db()
    assert outreach.picture is None
    approve(outreach, world.liaison)
    jobs.drain(now=NOW)
    (mail,) = sink.to("bob@acme.example")
    assert [one.get_content_type() for one in mail.iter_parts()] == ["text/plain", "text/html"]


def test_what_was_approved_without_a_picture_gets_none(world):
    attach(world.incident, make_snapshot(world.acme, result={"facts": [ended()]}))
    outreach = world.approved()

    assert jobs.illustrate(now=NOW) == 0

    outreach.refresh_from_db()
    assert (outreach.picture, outreach.state) == (None, State.APPROVED)


def test_the_kept_picture_is_the_one_that_was_approved(world):
    outreach = pictured(world)
    with pytest.raises(IntegrityError), transaction.atomic():
        Picture.objects.update(alt="Everything was fine.")
    assert is_whole(outreach.picture)

    outreach.picture.alt = "Everything was fine."

    with pytest.raises(CannotBeWritten, match="not the one that was approved"):
        Skeleton.of(outreach)


def test_where_little_may_be_told_nothing_is_drawn(world):
    outreach = pictured(world, *facts_of_theirs())
    assert (outreach.picture, outreach.illustrated) == (None, True)
    for facts in (None, [], [ended(consumers=True)], [{"kind": "later", "basis": "b"}]):
        assert attempts_of_theirs(facts, language="en", zone="UTC") is None


def test_it_speaks_their_language():
    chart = attempts_of_theirs([ended("Zahlung", attempts=4120)], language="de", zone="")

    assert chart.title == "Was aus Ihren Versuchen wurde"
    assert (
        chart.summary == "Zahlung: beim ersten Versuch 4.060, nach Wiederholung 28, aufgegeben 32."
    )
    assert chart.data["rows"][0]["said"] == "4.088 von 4.120 gelungen"


@pytest.mark.parametrize(
    ("text", "before"),
    [
        ("a\n\n- b\n  - c\n- d\n\ne", "<p>a</p>\n<ul>"),
        ("> - q\n\n- b\n\nlast", "<blockquote>"),
        ("no list", "<p>no list</p>\n"),
    ],
)
def test_the_picture_follows_the_first_list(text, before):
    html = as_html(text)
    cut = after_first_list(html)

    assert html.startswith(before)
    assert html[:cut].count("<ul>") == html[:cut].count("</ul>")
    assert html[:cut].count("<blockquote>") == html[:cut].count("</blockquote>")
