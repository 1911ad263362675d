"""Send by hand what is due: when no worker runs, or to see what the mail server says."""

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from apps.outreach import jobs


class Command(BaseCommand):
    """`manage.py drain`: hand what is due to the mail server and say how that went."""

    help = "Send the mail that is due. Any number of senders may run at once."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare how much and how long."""
        parser.add_argument("--limit", type=int, default=50, help="mails per connection (50)")
        parser.add_argument("--watch", action="store_true", help="go on until stopped")

    def handle(self, *_: Any, limit: int, watch: bool, **__: Any) -> None:
        """Send until nothing is due, or for ever with --watch."""
        if limit < 1:
            raise CommandError("--limit is at least 1.")
        self.stdout.write("sending")
        self.stdout.flush()
        total = dict.fromkeys(("accepted", "later", "refused", "unknown"), 0)
        while True:
            done = jobs.drain(now=timezone.now(), limit=limit)
            for name in total:
                total[name] += getattr(done, name)
            if done.away and not watch:
                raise CommandError(done.away)
            if not done:
                if not watch:
                    break
                time.sleep(0.2)
        self.stdout.write(
            "{accepted} accepted, {later} to be tried again, {refused} refused, {unknown} not known".format(
                **total
            )
        )
