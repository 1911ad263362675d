"""What may be said of a customer, a contact, a rule and a journey: one reading for forms, files and the API."""

import ipaddress
import re
import zoneinfo
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from apps.customers.models import Attribute, Kind, Purpose

MOST_NOTES = 20_000
MOST_TAGS = 20
RESERVED = frozenset({"new", "import", "export"})
"""Addresses below /console/customers/ that no customer may take."""

LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})?")
SLUG = re.compile(r"[-a-zA-Z0-9_]{1,100}")
SURROGATE = re.compile("[\ud800-\udfff]")


class Unreadable(ValueError):
    """A value cannot be taken; `hint` says what to write instead."""

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


class Keep:
    """What an empty cell means where nothing can stand: leave it as it is."""


KEEP = Keep()


@dataclass(frozen=True)
class Column:
    """A column: its name, what it says, how a cell is read, and what an empty cell means."""

    name: str
    says: str
    read: Callable[[str], Any]
    empty: Any = KEEP


def text(most: int, *, lines: bool = False) -> Callable[[str], str]:
    """Return a reader of text of up to `most` characters."""

    def read(cell: str) -> str:
        if len(cell) > most:
            raise Unreadable(f"It has {len(cell)} characters", f"Write up to {most}.")
        if not lines and ("\n" in cell or "\r" in cell):
            raise Unreadable("It goes over several lines", "Write it in one line.")
        return cell.replace("\r\n", "\n").replace("\r", "\n")

    return read


def whole(most: int) -> Callable[[str], int]:
    """Return a reader of numbers from nought to `most`."""

    def read(cell: str) -> int:
        if not re.fullmatch(r"[0-9]{1,19}", cell) or int(cell) > most:
            raise Unreadable(
                "It is no whole number from 0 up", f"Write digits only, such as 30; up to {most}."
            )
        return int(cell)

    return read


def decimal(cell: str, places: int, most: Decimal, example: str) -> Decimal:
    """Read a number with up to `places` places after the point; a comma is a point too."""
    cell = cell.replace(",", ".")
    if not re.fullmatch(rf"[0-9]{{1,12}}(\.[0-9]{{1,{places}}}0*)?", cell) or Decimal(cell) > most:
        raise Unreadable(
            f"It is no number from 0 to {most} with up to {places} decimals",
            f"Write such as {example}.",
        )
    return Decimal(cell).quantize(Decimal(10) ** -places)


def share(cell: str) -> Decimal:
    """Read a share: 0.01, or 1 %."""
    if cell.endswith("%"):
        return (decimal(cell[:-1].strip(), 4, Decimal(100), "1 %") / 100).quantize(
            Decimal("0.000001")
        )
    return decimal(cell, 6, Decimal(1), "0.01 or 1 % for one in a hundred")


def money(cell: str) -> Decimal:
    """Read a value of a journey."""
    return decimal(cell, 2, Decimal("9999999999.99"), "49.90")


def currency(cell: str) -> str:
    """Read a currency by its three letters."""
    if not re.fullmatch(r"[A-Za-z]{3}", cell):
        raise Unreadable("It is no currency", "Write its three letters of ISO 4217, such as EUR.")
    return cell.upper()


def one_of(choices: Iterable[tuple[str, str]]) -> Callable[[str], str]:
    """Return a reader of a choice, by its value or by its words."""
    known = {word.casefold(): value for value, label in choices for word in (label, value)}
    values = ", ".join(dict.fromkeys(known.values()))

    def read(cell: str) -> str:
        if cell.casefold() not in known:
            raise Unreadable("This is not one of the choices", f"Write one of: {values}.")
        return known[cell.casefold()]

    return read


def yes_no(cell: str) -> bool:
    """Read yes or no."""
    if cell.casefold() in {"yes", "true", "1", "y", "on"}:
        return True
    if cell.casefold() in {"no", "false", "0", "n", "off"}:
        return False
    raise Unreadable("This is neither yes nor no", "Write yes or no.")


def tags(cell: str) -> list[str]:
    """Read tags between commas; they are kept in small letters, each once, in order."""
    found = sorted({" ".join(one.split()).lower() for one in cell.split(",")} - {""})
    if len(found) > MOST_TAGS:
        raise Unreadable(f"There are {len(found)} tags", f"Write up to {MOST_TAGS}.")
    if long := next((one for one in found if len(one) > 50), None):
        raise Unreadable(f"“{long[:20]}…” is too long", "A tag has up to 50 characters.")
    return found


@cache
def zones() -> frozenset[str]:
    """Return the names of time zones."""
    return frozenset(name for name in zoneinfo.available_timezones() if len(name) <= 50)


def time_zone(cell: str) -> str:
    """Read a time zone."""
    if cell not in zones():
        raise Unreadable("This time zone is not known", "Write one such as Europe/Berlin or UTC.")
    return cell


def language(cell: str) -> str:
    """Read a language."""
    if len(cell) > 10 or not LANGUAGE.fullmatch(cell):
        raise Unreadable("This is no code of a language", "Write one such as en or pt-BR.")
    return cell


def email(cell: str) -> str:
    """Read an address."""
    try:
        validate_email(cell)
    except ValidationError:
        raise Unreadable("This is no address", "Write it such as jo@example.com.") from None
    if len(cell) > 254:
        raise Unreadable("The address is too long", "Write up to 254 characters.")
    return cell


def slug(cell: str) -> str:
    """Read the name of a customer in addresses."""
    if not SLUG.fullmatch(cell) or cell in RESERVED:
        raise Unreadable(
            "This cannot be part of an address", "Use letters, digits, hyphens, such as acme-uk."
        )
    return cell


def rule_value(attribute: str, value: str) -> str:
    """Read what a rule looks for, by the attribute it looks at."""
    if attribute == Attribute.NETWORK:
        try:
            ipaddress.ip_network(value, strict=False)
        except ValueError:
            raise Unreadable("This is no network", "Write one such as 192.0.2.0/24.") from None
    if attribute == Attribute.PATH_PREFIX and not value.startswith("/"):
        raise Unreadable("A path begins with a slash", "Write one such as /acme/.")
    return value


KEY = (
    Column("external_id", "the id you know the customer by; with it, lines find their customer again",
           text(200), ""),
    Column("slug", "the customer's name in addresses; it stands in where there is no external_id", slug, ""),
)  # fmt: skip

_BIG, _LONG = 2**31 - 1, 2**63 - 1

CUSTOMER = (
    Column("name", "needed for a new customer", text(200)),
    Column("kind", "consumers, business or internal; needed for a new customer", one_of(Kind.choices)),
    Column("parent", "whose part they are: an external_id, or slug: and a slug", text(205), ""),
    Column("account_manager", "the address that the account manager signs in with", email, ""),
    Column("tags", "between commas", tags, []),
    Column("end_users", "who their customers are, in their words", text(300), ""),
    Column("end_users_count", "how many", whole(_LONG), None),
    Column("reached_by", "how they reach them", text(300), ""),
    Column("bears_outage", "what they say of an outage", text(300), ""),
    Column("bears_outage_minutes", "… in minutes", whole(_BIG), None),
    Column("bears_error", "what they say of errors", text(300), ""),
    Column("bears_error_share", "… as a share of their requests: 0.01 or 1 %", share, None),
    Column("bears_delay", "what they say of delays", text(300), ""),
    Column("bears_delay_seconds", "… in seconds", whole(_BIG), None),
    Column("bears_loss", "what they say of something lost", text(300), ""),
    Column("bears_loss_count", "… in orders, records or what they count", whole(_BIG), None),
    Column("language", "such as en", language),
    Column("time_zone", "such as Europe/Berlin", time_zone),
    Column("notes", "Markdown", text(MOST_NOTES, lines=True), ""),
    Column("archived", "yes or no", yes_no),
)  # fmt: skip

CONTACT = (
    Column("email", "needed: it tells contacts of a customer apart", email),
    Column("name", "needed for a new contact", text(200)),
    Column("purpose", "operations, executive or billing", one_of(Purpose.choices)),
    Column("language", "such as en", language),
    Column("time_zone", "such as Europe/Berlin", time_zone),
    Column("do_not_contact", "yes or no", yes_no),
)

RULE = (
    Column("attribute", "needed: what of a request is looked at", one_of(Attribute.choices)),
    Column("value", "needed: what stands there", text(300)),
    Column("position", "rules are asked in this order", whole(_BIG)),
    Column("actor_from", "the attribute that tells people apart", one_of(Attribute.choices), ""),
    Column("enabled", "yes or no", yes_no),
    Column("note", "", text(300), ""),
)

JOURNEY = (
    Column("journey", "needed: a journey that matters to them", text(100)),
    Column("value", "what one that goes through is worth", money, None),
    Column("currency", "of the value: three letters, such as EUR", currency, ""),
    Column("note", "", text(300), ""),
)

RECORDS = {"customer": CUSTOMER, "contact": CONTACT, "rule": RULE, "journey": JOURNEY}

#: Every column of a file, in the order in which it is written.
HEADER: tuple[str, ...] = tuple(
    dict.fromkeys(
        ["record", *(one.name for one in (*KEY, *CUSTOMER, *CONTACT, *RULE, *JOURNEY))]
    )
)  # fmt: skip


def read(record: str, cells: dict[str, str]) -> tuple[dict[str, Any], list[tuple[str, Unreadable]]]:
    """Read the cells that are there. Return the values and what is wrong, by column.

    A column that is not there, and an empty cell that means "as it is", give no value.
    """
    values: dict[str, Any] = {}
    wrong: list[tuple[str, Unreadable]] = []
    for column in (*KEY, *RECORDS[record]):
        cell = cells.get(column.name)
        if cell is None:
            continue
        cell = cell.strip()
        try:
            if "\0" in cell or SURROGATE.search(cell):
                raise Unreadable(  # noqa: TRY301  (one place that collects)
                    "It holds characters that are no text", "Save the file as UTF-8 and try again."
                )
            if cell:
                values[column.name] = column.read(cell)
            elif not isinstance(column.empty, Keep):
                values[column.name] = column.empty
        except Unreadable as problem:
            wrong.append((column.name, problem))
    return values, wrong
