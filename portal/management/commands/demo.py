"""`manage.py demo`: one honest story on real traffic, and the site to look at it."""

import argparse
import os
import signal
import sys
import threading
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from portal.demo.sink import Sink
from portal.demo.steps import Steps
from portal.demo.story import Story
from portal.demo.world import PASSWORD
from portal.embedded import EmbeddedError
from portal.embedded.programs import add_portal, collect_static, free_address, read_address
from portal.embedded.supervisor import Supervisor

PEOPLE = [
    ("olga@example.com", "admin: people, keys, the audit log"),
    ("ada@example.com", "leads incidents"),
    ("ben@example.com", "liaison; approves what others write"),
    ("amy@example.com", "account manager of two businesses, and of forty simulated ones"),
    ("jo@harbour-books.example", "a customer: Harbour Books"),
    ("sam@northwind-gifts.example", "a customer: Northwind Gifts"),
]


class Command(BaseCommand):
    """Start everything, tell the story, serve the site until Ctrl-C."""

    help = (
        "Take in a real log with two faults in it, declare the incident, have a worker compute its impact, publish, "
        "write to customers, and serve the site. The demo keeps its own database, made anew each time."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "--once",
            action="store_true",
            help="end after the story; exit 0 only if every step truly happened",
        )
        parser.add_argument(
            "--bind", default="127.0.0.1:8000", metavar="HOST:PORT", help="default %(default)s"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run the demo."""
        stopping = threading.Event()

        def on_signal(number: int, frame: FrameType | None) -> None:
            if stopping.is_set():
                supervisor.hurry()
                return
            stopping.set()
            raise KeyboardInterrupt

        for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(sign, on_signal)
        supervisor, sink = Supervisor(say=self._say, echo=False), Sink()
        happened = False
        try:
            happened = self._run(supervisor, sink, options)
            if happened and not options["once"]:
                self._say("\nCtrl-C stops everything.")
                threading.Event().wait()
        except KeyboardInterrupt:
            happened = happened or not options["once"]
            self._say("\nstopping; once more to stop at once")
        except EmbeddedError as error:
            raise CommandError(str(error)) from error
        finally:
            stopping.set()
            supervisor.stop()
            sink.stop()
        if not happened:
            raise CommandError("Not every step came true; see above.")
        self._say("stopped; nothing is left running")

    def _run(self, supervisor: Supervisor, sink: Sink, options: dict[str, Any]) -> bool:
        supervisor.take_home()
        wanted = read_address(options["bind"])
        address = free_address(wanted, any_port=True)
        if address != wanted:
            self._say(f"Port {wanted.port} is taken; the demo uses {address.port}.")
        os.environ["EMAIL_URL"] = f"smtp://127.0.0.1:{sink.start()}"
        os.environ["PORTAL_NAME"] = "Example Shop status"
        os.environ["PORTAL_SWEEP_SECONDS"] = "2"
        os.environ.pop("PORTAL_URL", None)
        collect_static(supervisor.home)
        url = add_portal(supervisor, address)
        supervisor.start()
        supervisor.wait_ready(180)
        self._say("")
        steps = Steps(out=self.stdout, colour=sys.stdout.isatty())  # type: ignore[arg-type]
        story = Story(address=address.url, sink=sink, steps=steps)
        if not story.tell():
            return False
        self._tell(story, url)
        return True

    def _tell(self, story: Story, url: str) -> None:
        self._say("\nWhat it did to customers")
        for sentence in story.sentences():
            self._say(f"  {sentence}")
        self._say("\nSimulated: 65,000 HTTP 500s from 10:04 to 10:30, told as a story")
        for sentence in story.sentences(simulated=True):
            self._say(f"  {sentence}")
        self._say("\nWhat we cannot tell, and what would close the gap")
        for gap in story.gaps():
            self._say(f"  {gap}")
        self._say(
            "\nReal: the traffic of the first. Made up: its faults, the names of businesses and people, and "
            "everything that is marked as simulated."
        )
        self._say(
            f"\nStatus page  {url}/\nConsole      {url}/console/\nSign in      password: {PASSWORD}"
        )
        for email, who in PEOPLE:
            self._say(f"  {email:30} {who}")

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
