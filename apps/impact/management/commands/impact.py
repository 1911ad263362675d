"""Tell what a window did to customers."""

import sys
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import orjson
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from apps.analytics.impact import ImpactResult
from apps.analytics.story import (
    LANGUAGES,
    READERS,
    STAFF,
    Voice,
    gap_words,
    stands_on,
    story_for,
    tell,
    unknown_title,
)
from apps.catalog.models import Service
from apps.customers.models import Customer
from apps.impact import jobs
from apps.telemetry import queries as telemetry

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Command(BaseCommand):
    """`manage.py impact --from T --to T | --all [--service S] [--reader R | --customer C] [--json]`."""

    help = (
        "Tell what happened to customers between two instants, as a story or as JSON. Times are RFC 3339 "
        "(2026-11-22T22:15:00Z); one without a zone is UTC. Exit code 1: the question or the data is wrong."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the window, the service and the form of the answer."""
        parser.add_argument("--from", dest="start", metavar="T", help="where the window begins")
        parser.add_argument(
            "--to", dest="end", metavar="T", help="where it ends (this instant excluded)"
        )
        parser.add_argument("--all", action="store_true", help="everything that was ingested")
        parser.add_argument("--service", metavar="S", help="only this service (its short name)")
        parser.add_argument(
            "--as-of", metavar="T", help="as it was known at this instant (default: now)"
        )
        parser.add_argument("--json", action="store_true", help="print the JSON of the measures")
        parser.add_argument(
            "--reader", choices=READERS, default=STAFF, help="who of ours reads it (default: staff)"
        )
        parser.add_argument(
            "--customer", metavar="C", help="as this customer reads it (short name)"
        )
        parser.add_argument(
            "--language",
            choices=LANGUAGES,
            help="tell it in this language (default: theirs, else en)",
        )
        parser.add_argument(
            "--time-zone", metavar="Z", help="times as in Europe/Berlin (default: theirs, else UTC)"
        )

    def handle(self, *_: Any, **options: Any) -> None:
        """Compute and print."""
        now = timezone.now()
        start, end = self._window(options, now=now)
        as_of = _instant("--as-of", options["as_of"], now=now) if options["as_of"] else now
        customer = self._customer(options["customer"])
        voice = self._voice(options, customer)
        try:
            result = jobs.compute_window(
                window_from=start,
                window_to=end,
                as_of=as_of,
                service=self._service(options["service"]),
                progress=self._progress if sys.stderr.isatty() else None,
            )
        except jobs.NothingToRead as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(orjson.dumps(result.as_json()).decode())
        elif customer:
            for sentence in story_for(result, customer.pk, voice):
                self.stdout.write(sentence.text)
            self.stdout.write(f"\n{stands_on(result, voice)}")
        else:
            self._tell(result, voice, options["reader"])

    def _window(self, options: dict[str, Any], *, now: datetime) -> tuple[datetime, datetime]:
        given = options["start"], options["end"]
        if options["all"] == any(given) or (any(given) and not all(given)):
            raise CommandError("Say which window: --from T --to T, or --all.")
        if not options["all"]:
            start, end = (
                _instant(*pair, now=now) for pair in zip(("--from", "--to"), given, strict=True)
            )
            if start >= end:
                raise CommandError(f"--from ({given[0]}) must be before --to ({given[1]}).")
            return start, end
        span = telemetry.data_span()
        if span is None:
            raise CommandError("There are no events yet. Send some: manage.py ingest FILE.")
        first, last = (EPOCH + timedelta(milliseconds=ms) for ms in span)
        return first, last + timedelta(milliseconds=1)

    def _service(self, slug: str | None) -> Service | None:
        if not slug:
            return None
        service = Service.objects.filter(slug=slug).first()
        if service is None:
            known = ", ".join(Service.objects.order_by("slug").values_list("slug", flat=True)[:20])
            raise CommandError(f"There is no service {slug!r}. There is: {known or 'none yet'}.")
        return service

    def _progress(self, step: int, of: int, label: str) -> None:
        end = "\n" if step == of else ""
        sys.stderr.write(f"\r\033[K{step}/{of} {label}{end}")
        sys.stderr.flush()

    def _customer(self, slug: str | None) -> Customer | None:
        if not slug:
            return None
        customer = Customer.objects.filter(slug=slug).first()
        if customer is None:
            raise CommandError(f"There is no customer {slug!r}. See /console/customers/ for all.")
        return customer

    def _voice(self, options: dict[str, Any], customer: Customer | None) -> Voice:
        zone = options["time_zone"] or (customer.time_zone if customer else "UTC")
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise CommandError(
                f"--time-zone: {zone!r} is no time zone. Write one such as Europe/Berlin."
            ) from error
        return Voice.of(options["language"] or (customer.language if customer else ""), zone)

    def _tell(self, result: ImpactResult, voice: Voice, reader: str) -> None:
        told = tell(result.facts, reader=reader, voice=voice)
        gaps = [sentence for sentence in told if sentence.basis.startswith("gaps.")]
        for sentence in told:
            if sentence not in gaps:  # they follow with what closes them
                self.stdout.write(sentence.text)
        if result.gaps:
            self.stdout.write(f"\n{unknown_title(voice)}")
        if voice.language == "en":
            for gap in result.gaps:
                self.stdout.write(
                    f"  - {gap.question} {_sentence(gap.why)} {_sentence(gap.closes_by)}"
                )
        else:
            for gap in result.gaps:
                said = gap_words(gap.code, gap.numbers, voice)
                # Better in English than not at all.
                question, why, closes_by = said or (gap.question, gap.why, gap.closes_by)
                self.stdout.write(f"  - {question} {_sentence(why)} {_sentence(closes_by)}")
        self.stdout.write(f"\n{stands_on(result, voice)}")


def _sentence(text: str) -> str:
    text = text.strip()
    text = text[:1].upper() + text[1:]
    return text if not text or text[-1] in ".!?" else f"{text}."


def _instant(option: str, text: str, *, now: datetime) -> datetime:
    """Return the instant that an option names; refuse what is no time or lies in the future."""
    try:
        instant = parse_datetime(text.strip())
        if instant is None:
            day = datetime.strptime(text.strip(), "%Y-%m-%d")  # noqa: DTZ007  (UTC below)
            instant = day
        instant = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
        instant = instant.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise CommandError(
            f"{option}: {text!r} is not a time. Write it like 2026-11-22T22:15:00Z."
        ) from error
    if instant > now + timedelta(minutes=5):
        raise CommandError(
            f"{option}: {text} is in the future; it is {now:%Y-%m-%dT%H:%M:%SZ} now."
        )
    if instant.year < 1971:
        raise CommandError(f"{option}: {text} is before 1971, which no event can be.")
    return instant
