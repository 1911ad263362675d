"""The mail itself: written once per message, filled per person, handed over one by one on a kept connection."""

import email.quoprimime
import secrets
import smtplib
import socket
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from enum import StrEnum
from types import TracebackType
from typing import Self

from django.conf import settings
from django.core.mail.backends.smtp import EmailBackend
from django.template.loader import render_to_string
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from apps.outreach.content import after_first_list, as_html, is_whole, one_line
from apps.outreach.models import Delivery, Outreach

POLICY = SMTP.clone(cte_type="7bit", max_line_length=76)


class CannotBeWritten(ValueError):
    """The mail to this person cannot be made; the message says why."""


class MailServerAway(Exception):
    """The mail server could not be reached or did not let us in; nothing was sent."""


def domain() -> str:
    """Return the domain that message ids and lists are named after: that of the sender's address."""
    return parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2] or "localhost"


def new_message_id(unique: str) -> str:
    """Return the Message-ID of a delivery; made once and stored, so that every try carries the same."""
    return f"<d.{unique}@{domain()}>"


@dataclass(frozen=True)
class Skeleton:
    """A message without its person: body parts encoded once, with a mark where the greeting goes."""

    subject: str
    sender: str
    reply_to: str
    list_id: str
    body: bytes
    mark: bytes

    @classmethod
    def of(cls, outreach: Outreach) -> "Skeleton":
        """Write the message of `outreach` (its customer and incident loaded). Raises CannotBeWritten."""
        mark = f"GREETING{secrets.token_hex(12)}"
        manager = outreach.customer.account_manager or outreach.author
        frame = EmailMessage(policy=POLICY)
        frame.set_content(f"{mark}\n\n{outreach.text.strip()}\n", cte="quoted-printable")
        picture = outreach.picture
        if picture and not is_whole(picture):
            raise CannotBeWritten("its picture is not the one that was approved")
        cid = f"picture.{picture.key[:24]}@{domain()}" if picture else ""
        html = render_html(outreach, greeting=mark, picture_at=f"cid:{cid}")
        frame.add_alternative(html, subtype="html", cte="quoted-printable")
        if picture:
            part = list(frame.iter_parts())[1]
            part.add_related(
                bytes(picture.png), "image", "png", cid=f"<{cid}>", disposition="inline",
                filename="attempts.png",
            )  # fmt: skip
        body = frame.as_bytes()
        if body.count(mark.encode()) != 2:
            raise CannotBeWritten("the template of the mail lost its greeting")
        name = f"{manager.name}, {settings.PORTAL_NAME}" if manager else settings.PORTAL_NAME
        return cls(
            subject=header_text(outreach.subject),
            sender=formataddr_safe(name, parseaddr(settings.DEFAULT_FROM_EMAIL)[1]),
            reply_to=formataddr_safe(manager.name, manager.email) if manager else "",
            list_id=f"<incident-{outreach.incident_id}.{domain()}>",
            body=body,
            mark=mark.encode(),
        )

    def fill(self, delivery: Delivery, *, earlier: Sequence[str], now: datetime) -> bytes:
        """Return the mail to one person. `earlier` are the ids of mails to them about this incident."""
        head = EmailMessage(policy=POLICY)
        try:
            head["From"] = self.sender
            head["To"] = formataddr_safe(delivery.name, delivery.email)
            if self.reply_to:
                head["Reply-To"] = self.reply_to
            head["Subject"] = self.subject
            head["Date"] = format_datetime(now.astimezone(UTC))
            head["Message-ID"] = delivery.message_id
            if earlier:
                head["In-Reply-To"] = earlier[-1]
                head["References"] = " ".join(earlier)
            head["List-Id"] = self.list_id
            head["X-Portal-Delivery"] = str(delivery.pk)
        except (ValueError, UnicodeError) as error:
            raise CannotBeWritten(str(error)) from error
        greeting = greeting_for(delivery.name)
        text, html = (
            email.quoprimime.body_encode(
                "".join(chr(byte) for byte in one.encode()), eol="\r\n"
            ).encode("ascii")
            for one in (greeting, escape(greeting))
        )
        body = self.body.replace(self.mark, text, 1).replace(self.mark, html, 1)
        # The blank line that ends the headers comes with the body, after its own.
        return head.as_bytes().removesuffix(b"\r\n") + body


def greeting_for(name: str) -> str:
    """Return how a mail begins."""
    return f"Hello {one_line(name)}," if name.strip() else "Hello,"


def picture_inline(outreach: Outreach) -> str:
    """Return its picture as an address that holds all of it, for a page of ours; empty without one."""
    picture = outreach.picture
    return f"data:image/png;base64,{b64encode(picture.png).decode()}" if picture else ""


def render_html(outreach: Outreach, *, greeting: str, picture_at: str) -> str:
    """Return the HTML part as a whole page; `greeting` stands alone on a line of its own.

    `picture_at` is the address of its picture, if it has one.
    """
    html = as_html(outreach.text)
    cut = after_first_list(html)
    return render_to_string(
        "outreach/email/message.html",
        {
            "outreach": outreach,
            "incident": outreach.incident,
            "greeting": greeting,
            "subject": outreach.subject,
            "preview": next(iter(outreach.text.strip().splitlines()), ""),
            "body": _body(html[:cut]),
            "picture": outreach.picture,
            "picture_at": picture_at,
            "rest": _body(html[cut:]),
            "portal_name": settings.PORTAL_NAME,
            "portal_url": settings.PORTAL_URL,
        },
    )


def _body(html: str) -> SafeString:
    """Return cleaned words in which what they may quote stands apart from what we say to them."""
    html = html.replace("<blockquote>", '<blockquote class="advice">')
    return mark_safe(html)  # noqa: S308  (cleaned, and nothing of theirs added)


def header_text(text: str) -> str:
    """Return `text` if it may stand in a header. Raises CannotBeWritten where it would begin another."""
    if any(ord(char) < 32 or char in "\x7f\x85\u2028\u2029" for char in text):
        raise CannotBeWritten("a line break or control character in a header")
    return text


def formataddr_safe(name: str, address: str) -> str:
    """Return "name <address>" with the domain as the wire wants it. Raises CannotBeWritten."""
    header_text(address)
    return str(Address(display_name=one_line(name), addr_spec=wire_address(address)))


def wire_address(address: str) -> str:
    """Return the address with its domain in ASCII (IDNA). Raises CannotBeWritten where it is none."""
    local, at, host = address.rpartition("@")
    try:
        if not (at and local and host):
            raise CannotBeWritten(f"{address!r} is not an address")
        spec = f"{local}@{host.encode('idna').decode('ascii')}"
        Address(addr_spec=spec)
    except (ValueError, UnicodeError, IndexError) as error:
        raise CannotBeWritten(f"{address!r} is not an address") from error
    return spec


class Outcome(StrEnum):
    """How handing over ended."""

    ACCEPTED = "accepted"  # the server said it has it
    LATER = "later"  # certainly not taken; it may be tried again
    REFUSED = "refused"  # certainly not taken, and never will be
    UNKNOWN = "unknown"  # the line broke after the mail had left and before the answer came


@dataclass(frozen=True)
class Handed:
    """The outcome and what the server said."""

    outcome: Outcome
    reply: str


class Post:
    """One connection to the mail server, kept for many mails. Use as a context manager."""

    def __init__(self) -> None:
        # Each answer may take this long (s); all of them together stay below the lease of a row.
        timeout = min(float(settings.EMAIL_TIMEOUT or 20), settings.PORTAL_LEASE_SECONDS / 8)
        self._backend = EmailBackend(
            host=settings.EMAIL_HOST,
            port=settings.EMAIL_PORT,
            username=settings.EMAIL_HOST_USER,
            password=settings.EMAIL_HOST_PASSWORD,
            use_tls=settings.EMAIL_USE_TLS,
            use_ssl=settings.EMAIL_USE_SSL,
            timeout=timeout,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.hang_up()

    def connect(self) -> None:
        """Connect if there is no connection. Raises MailServerAway."""
        if self._backend.connection is not None:
            return
        try:
            self._backend.open()
            smtp = self._smtp
            if smtp.sock is not None:
                smtp.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            smtp.ehlo_or_helo_if_needed()
        except (OSError, smtplib.SMTPException) as error:
            self.hang_up()
            where = f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT}"
            raise MailServerAway(
                f"The mail server at {where} did not let us in: {_words(error)}"
            ) from error

    def hang_up(self) -> None:
        """Close the connection, politely if the server still listens."""
        smtp, self._backend.connection = self._backend.connection, None
        if smtp is None:
            return
        try:
            smtp.quit()
        except (OSError, smtplib.SMTPException):
            smtp.close()

    def hand_over(self, *, recipient: str, message: bytes) -> Handed:
        """Give the server one mail and say how that ended; never raises for what a server can do.

        Needs `connect()` before. After a broken line the connection is gone; connect again.
        """
        try:
            return self._before_data(recipient) or self._data(message)
        except (OSError, smtplib.SMTPException) as error:
            # Everything up to the final dot: without it no server takes a mail.
            self._drop()
            return Handed(Outcome.LATER, _words(error))

    @property
    def _smtp(self) -> smtplib.SMTP:
        smtp = self._backend.connection
        if smtp is None:
            raise smtplib.SMTPServerDisconnected("not connected")
        return smtp

    def _before_data(self, recipient: str) -> Handed | None:
        """Name sender and recipient and ask to begin; None when the server says go on."""
        smtp = self._smtp
        options = []
        if not recipient.isascii():
            if not smtp.has_extn("smtputf8"):
                words = "The mail server cannot take this address: it does not speak SMTPUTF8."
                return Handed(Outcome.REFUSED, words)
            options.append("SMTPUTF8")
        code, reply = smtp.mail(parseaddr(settings.DEFAULT_FROM_EMAIL)[1], options)
        if code == 250:
            code, reply = smtp.rcpt(recipient)
        if code in {250, 251}:
            code, reply = smtp.docmd("DATA")
        return None if code == 354 else self._refused(code, reply)

    def _data(self, message: bytes) -> Handed:
        smtp = self._smtp
        smtp.send(message.replace(b"\r\n.", b"\r\n.."))
        try:
            # From here on the server may have the mail, whatever becomes of the line.
            smtp.send(b".\r\n")
            code, reply = smtp.getreply()
        except (OSError, smtplib.SMTPException) as error:
            self._drop()
            return Handed(Outcome.UNKNOWN, _words(error))
        if 200 <= code < 300:
            return Handed(Outcome.ACCEPTED, _said(code, reply))
        if 400 <= code < 600:
            return self._refused(code, reply)
        self._drop()
        return Handed(Outcome.UNKNOWN, _said(code, reply))

    def _refused(self, code: int, reply: bytes) -> Handed:
        """Name a refusal and make the connection fit for the next mail."""
        try:
            if code == 421:
                raise smtplib.SMTPServerDisconnected("the server is closing")
            self._smtp.rset()
        except (OSError, smtplib.SMTPException):
            self._drop()
        outcome = Outcome.REFUSED if 500 <= code < 600 else Outcome.LATER
        return Handed(outcome, _said(code, reply))

    def _drop(self) -> None:
        smtp, self._backend.connection = self._backend.connection, None
        if smtp is not None:
            smtp.close()


def _said(code: int, reply: bytes) -> str:
    return one_line(f"{code} {reply.decode('utf-8', 'replace')}")[:500]


def _words(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        raw = error.smtp_error
        return _said(error.smtp_code, raw if isinstance(raw, bytes) else str(raw).encode())
    return one_line(str(error) or type(error).__name__)[:500]
