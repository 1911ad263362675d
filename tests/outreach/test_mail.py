"""What is in the mail, and what can never get into it."""

from email import message_from_bytes
from email.policy import default

import pytest

from apps.outreach import actions, jobs
from apps.outreach.content import as_html
from apps.outreach.mail import CannotBeWritten, Skeleton, formataddr_safe, wire_address
from apps.outreach.models import DeliveryState
from tests.factories import NOW, make_contact
from tests.outreach.world import approve


@pytest.mark.parametrize(
    ("text", "not_in"),
    [
        ("<script>alert(1)</script>", "<script"),
        ("<img src=x onerror=alert(1)>", "<img"),
        ("![pixel](https://evil.example/p.png)", "<img"),
        ("[click](javascript:alert(1))", 'href="javascript'),
        ("[click](data:text/html,x)", 'href="data'),
        ("<style>body{display:none}</style>", "<style"),
        ("<iframe src=//evil.example>", "<iframe"),
    ],
)
def test_stored_markup_is_inert(text, not_in):
    assert not_in not in as_html(text)


def test_markup_in_every_place_people_can_write_is_inert(world, sink):
    world.incident.title = "<script>alert('title')</script>"
    world.incident.save()
    world.acme.name = "<b>Acme</b>"
    world.acme.save()
    make_contact(world.acme, '<img src=x onerror="alert(1)">', email="imp@acme.example")
    outreach = world.draft()
    actions.edit(
        outreach=outreach,
        user=world.amy,
        subject="</title><script>alert(2)</script>",
        text="Hello <script>alert(3)</script> [x](javascript:alert(4))",
        recipients=list(outreach.recipients.all()),
        now=NOW,
    )
    actions.submit(outreach=outreach, user=world.amy, now=NOW)
    approve(outreach, world.liaison)

    jobs.drain(now=NOW)

    (mail,) = sink.to("imp@acme.example")
    html = mail.get_body(("html",)).get_content()
    assert "<script" not in html
    assert "<img" not in html
    assert "<b>Acme" not in html
    assert "javascript:alert" not in html.replace("[x](javascript:alert(4))", "")


def test_a_line_break_in_a_stored_name_begins_no_header(world, sink):
    world.bob.name = "Bob\r\nBcc: everyone@acme.example"
    world.bob.save()
    world.approved()

    jobs.drain(now=NOW)

    (mail,) = sink.to("bob@acme.example")
    assert mail["Bcc"] is None
    assert sum(sink.addresses.values()) == 1


def test_a_bad_address_fails_alone(world, sink):
    make_contact(world.acme, "Odd", email="odd\r\nBcc: x@acme.example")
    make_contact(world.acme, "None", email="no address")
    outreach = world.approved()

    jobs.drain(now=NOW)

    assert sink.addresses == {"bob@acme.example": 1}
    states = {row.name: row.state for row in outreach.deliveries.all()}
    assert states["Odd"] != DeliveryState.ACCEPTED
    assert states["None"] != DeliveryState.ACCEPTED


def test_names_and_words_of_all_scripts_arrive_whole(world, sink):
    world.bob.name = "Żaneta “Jo” Ruiz, 東京"
    world.bob.save()
    outreach = world.draft()
    text = "Grüße — 500 € \n\n.a line with a dot\n.\n\n" + "long " * 400 + "\n\nGREETING"
    actions.edit(
        outreach=outreach, user=world.amy, subject="Grüße 東京 " + "x" * 150, text=text,
        recipients=[world.bob], now=NOW,
    )  # fmt: skip
    actions.submit(outreach=outreach, user=world.amy, now=NOW)
    approve(outreach, world.liaison)

    jobs.drain(now=NOW)

    (mail,) = sink.to("bob@acme.example")
    body = mail.get_body(("plain",)).get_content().replace("\r\n", "\n")
    assert body == f"Hello Żaneta “Jo” Ruiz, 東京,\n\n{text.strip()}\n"
    assert mail["Subject"] == "Grüße 東京 " + "x" * 150
    assert mail["To"].addresses[0].display_name == world.bob.name
    raw = sink.mails[0][3]
    assert max(len(line) for line in raw.splitlines()) <= 998
    assert raw.isascii()


def test_addresses_go_on_the_wire_as_it_wants_them():
    assert wire_address("jo@bücher.example") == "jo@xn--bcher-kva.example"
    for bad in ("", "jo", "@x.example", "jo@", "jo@a..example", "jo@x.example\nx"):
        with pytest.raises(CannotBeWritten):
            formataddr_safe("Jo", bad)


def test_a_skeleton_serves_many_people(world):
    outreach = world.approved()
    skeleton = Skeleton.of(outreach)
    row = outreach.deliveries.get()

    mails = []
    for name in ("Ann", "Bo & Co"):
        row.name = name
        raw = skeleton.fill(row, earlier=["<a@x>", "<b@x>"], now=NOW)
        mails.append(message_from_bytes(raw, policy=default))

    assert [one.get_body(("plain",)).get_content().splitlines()[0] for one in mails] == [
        "Hello Ann,",
        "Hello Bo & Co,",
    ]
    assert "Hello Bo &amp; Co," in mails[1].get_body(("html",)).get_content()
    assert mails[0]["References"] == "<a@x> <b@x>"
    assert mails[0]["In-Reply-To"] == "<b@x>"
