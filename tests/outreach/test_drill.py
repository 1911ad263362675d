"""The drill of sending, shortened; and sending by hand."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from tests.outreach.sinks import free_port


@pytest.mark.django_db(transaction=True)
def test_senders_that_are_killed_send_nobody_two_mails():
    out = StringIO()
    before = connection.settings_dict["NAME"]

    call_command("drill", "send", quick=True, json=True, stdout=out)

    steps = [json.loads(line) for line in out.getvalue().splitlines()]
    assert len(steps) == 6
    assert all(step["ok"] for step in steps), steps
    assert connection.settings_dict["NAME"] == before


def test_drain_says_what_it_did(world, sink):
    world.approved()
    out = StringIO()

    call_command("drain", stdout=out)

    assert "0 accepted" in out.getvalue() or "1 accepted" in out.getvalue()


def test_drain_says_that_the_mail_server_is_away(world, settings):
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", free_port()
    row = world.approved().deliveries.get()
    assert row.state == "queued"
    with pytest.raises(CommandError, match="did not let us in"):
        call_command("drain", stdout=StringIO())
