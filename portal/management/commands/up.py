"""`manage.py up`: PostgreSQL, web, worker and beat on one machine, in one terminal."""

import argparse
import os
import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS, Error, connections
from django.db.migrations.executor import MigrationExecutor
from django.urls import reverse

from apps.accounts.actions import first_token, has_admin
from portal.embedded import EmbeddedError, own_server
from portal.embedded.client import prepare_database
from portal.embedded.programs import add_portal, collect_static, free_address, read_address
from portal.embedded.supervisor import Supervisor


class Command(BaseCommand):
    """Start everything, watch over it, stop it on Ctrl-C."""

    help = (
        "Run the portal on this machine: PostgreSQL, web, worker and beat. Ctrl-C stops all of it."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "--bind", default="127.0.0.1:8000", metavar="HOST:PORT", help="default %(default)s"
        )
        parser.add_argument(
            "--any-port", action="store_true", help="when the port is taken, pick a free one"
        )
        parser.add_argument(
            "--no-beat", action="store_true", help="without the clock of the sweeps"
        )
        parser.add_argument(
            "--once-ready-file", type=Path, metavar="PATH", help="write the address here once ready"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run until a signal ends it."""
        supervisor = Supervisor(say=self._say)
        self._told = False

        def on_signal(number: int, frame: FrameType | None) -> None:
            if self._told:
                supervisor.hurry()
                return
            self._told = True
            raise KeyboardInterrupt

        for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(sign, on_signal)
        try:
            self._run(supervisor, options)
        except KeyboardInterrupt:
            self._told = True
            self._say("stopping; once more to stop at once")
        except EmbeddedError as error:
            raise CommandError(str(error)) from error
        finally:
            self._told = True
            supervisor.stop()
        self._say("stopped")

    def _run(self, supervisor: Supervisor, options: dict[str, Any]) -> None:
        address = read_address(options["bind"])
        supervisor.take_home(address.url)
        address = free_address(address, any_port=options["any_port"])
        self._database()
        if collect_static(supervisor.home):
            self._say("static files are collected")
        url = add_portal(supervisor, address, beat=not options["no_beat"])
        supervisor.start()
        supervisor.wait_ready(180)
        self._say(f"The portal is up: {url}  (Ctrl-C stops it)")
        if not has_admin():
            first = reverse("first_admin", args=[first_token()])
            self._say(f"Nobody can sign in yet. Become the first admin: {url.rstrip('/')}{first}")
        connections.close_all()
        if path := options["once_ready_file"]:
            draft = path.with_name(f"{path.name}.{os.getpid()}")
            draft.write_text(f"{url}\n")
            draft.replace(path)
        threading.Event().wait()

    def _database(self) -> None:
        """See that the database is there, migrated, and has what the queue needs."""
        if server := own_server():
            # manage.py has started and migrated it already.
            self._say(f"PostgreSQL is ready  {server.home.data}")
            return
        connection = connections[DEFAULT_DB_ALIAS]
        try:
            executor = MigrationExecutor(connection)
            behind = executor.migration_plan(executor.loader.graph.leaf_nodes())
            if behind:
                raise CommandError(
                    f"The database lacks {len(behind)} migrations. Run `manage.py migrate` first."
                )
            if not os.environ.get("PORTAL_BROKER_URL"):
                prepare_database(os.environ["DATABASE_URL"])
        except Error as error:
            raise CommandError(
                f"The database of DATABASE_URL does not answer: {str(error).strip()}"
            ) from error
        finally:
            connection.close()
        self._say("The database of DATABASE_URL is ready")

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
