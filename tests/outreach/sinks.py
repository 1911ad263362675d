"""Mail servers over a real socket: one that takes everything, and one that misbehaves when told to."""

import asyncio
import email
import email.policy
import threading
from collections import Counter
from contextlib import contextmanager

from aiosmtpd.controller import Controller


class Received:
    """What a sink took: one entry per mail."""

    def __init__(self):
        self.mails = []
        self.lock = threading.Lock()

    def add(self, sender, recipients, content):
        message = email.message_from_bytes(content, policy=email.policy.default)
        with self.lock:
            self.mails.append((sender, tuple(recipients), message, content))

    @property
    def addresses(self):
        with self.lock:
            return Counter(to for _, recipients, _, _ in self.mails for to in recipients)

    def to(self, address):
        return [message for _, recipients, message, _ in self.mails if address in recipients]


class _Handler:
    def __init__(self, received):
        self.received = received

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        self.received.add(envelope.mail_from, envelope.rcpt_tos, envelope.content)
        return "250 2.0.0 taken"


@contextmanager
def sink(settings, port=0):
    """Run a mail server that takes everything; the portal's settings point at it."""
    received = Received()
    controller = Controller(_Handler(received), hostname="127.0.0.1", port=port or free_port())
    controller.start()
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", controller.port
    try:
        yield received
    finally:
        controller.stop()


def free_port():
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


PHASES = ("connect", "ehlo", "mail", "rcpt", "data", "body", "dot")


class Rude:
    """A small SMTP server that at one phase answers with a code of its own, or hangs up without a word.

    `plan` maps a phase to "drop", "hang" or a reply such as "451 4.3.0 later". "body" acts when the
    first bytes of the mail have come, "dot" when all of it has, before the answer.
    """

    def __init__(self, plan=None):
        self.plan = plan or {}
        self.received = Received()
        self.connections = 0
        self._ready = threading.Event()

    async def _serve(self, reader, writer):
        self.connections += 1
        try:
            await self._talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, _HungUpError):
            pass
        finally:
            writer.close()

    async def _answer(self, writer, phase, usual):
        planned = self.plan.get(phase)
        if planned == "drop":
            writer.transport.abort()
            raise _HungUpError
        if planned == "hang":
            await asyncio.sleep(30)
        writer.write(f"{planned or usual}\r\n".encode())
        await writer.drain()
        return planned is None

    async def _talk(self, reader, writer):
        if not await self._answer(writer, "connect", "220 rude"):
            return
        sender, recipients = "", []
        while line := (await reader.readline()).decode().strip():
            verb, _, rest = line.partition(" ")
            if verb == "QUIT":
                writer.write(b"221 bye\r\n")
                return
            if verb.upper() == "DATA":
                await self._data(reader, writer, sender, recipients)
                continue
            phase = {"MAIL": "mail", "RCPT": "rcpt"}.get(verb.upper(), "ehlo")
            agreed = await self._answer(writer, "" if verb.upper() == "RSET" else phase, "250 ok")
            if phase == "mail" and agreed:
                sender, recipients = rest, []
            elif phase == "rcpt" and agreed:
                recipients.append(rest[4:].strip("<>").lower())

    async def _data(self, reader, writer, sender, recipients):
        if not await self._answer(writer, "data", "354 go on"):
            return
        if "body" in self.plan:
            await reader.read(10)
            await self._answer(writer, "body", "")
        content = await reader.readuntil(b"\r\n.\r\n")
        if "dot" not in self.plan or self.plan.get("keeps"):
            self.received.add(sender, recipients, content)
        await self._answer(writer, "dot", "250 taken")

    def _run(self, port):
        async def main():
            self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
            server = await asyncio.start_server(self._serve, "127.0.0.1", port)
            self.port = server.sockets[0].getsockname()[1]
            self._ready.set()
            await self._stop.wait()
            server.close()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()

        asyncio.run(main())

    @contextmanager
    def serving(self, settings, port=0):
        thread = threading.Thread(target=self._run, args=(port,), daemon=True)
        thread.start()
        assert self._ready.wait(5)
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", self.port
        try:
            yield self
        finally:
            self._loop.call_soon_threadsafe(self._stop.set)
            thread.join(5)


class _HungUpError(Exception):
    pass
