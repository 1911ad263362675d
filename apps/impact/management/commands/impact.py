"""Tell what a window did to customers."""

import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from apps.analytics.impact import ImpactResult
from apps.catalog.models import Service
from apps.impact import jobs
from apps.telemetry import queries as telemetry

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Command(BaseCommand):
    """`manage.py impact --from T --to T | --all [--service S] [--json]`."""

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

    def handle(self, *_: Any, **options: Any) -> None:
        """Compute and print."""
        now = timezone.now()
        start, end = self._window(options, now=now)
        as_of = _instant("--as-of", options["as_of"], now=now) if options["as_of"] else now
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
        else:
            self._tell(result)

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

    def _tell(self, result: ImpactResult) -> None:
        for sentence in result.story:
            if not sentence.basis.startswith("gaps."):  # they follow with what closes them
                self.stdout.write(sentence.text)
        if result.gaps:
            self.stdout.write("\nWhat we cannot tell")
            for gap in result.gaps:
                self.stdout.write(
                    f"  - {gap.question} {_sentence(gap.why)} {_sentence(gap.closes_by)}"
                )
        answer = result.as_json()
        named = answer["coverage"]["named_customer"]
        share = (
            "no requests"
            if named is None
            else f"{named:.0%} of requests belong to a named customer"
        )
        state = "provisional" if result.provisional else "final"
        self.stdout.write(
            f"\nBasis: {answer['window']['from']} to {answer['window']['to']}, as of {answer['as_of']} "
            f"({state}); data up to {answer['watermark']}; {share}; method: {answer['method']}."
        )


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
