"""How a story speaks: one language and one time zone, by CLDR and a standard catalogue of messages.

Numbers, lists, units, dates and money come from CLDR (Babel). Sentences come from
`locale/<language>/LC_MESSAGES/story.po`, read as they are: nothing compiled is kept in the repository.
English is what the code says.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import cache, lru_cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from math import floor, inf, isfinite, log10
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel import Locale
from babel.dates import format_date, format_time, get_timezone_location
from babel.lists import format_list
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_currency, format_decimal, format_percent, is_currency
from babel.units import format_unit

from apps.analytics.stats import Interval

#: What the story can be told in: code -> CLDR locale. House English writes the day before the month.
LANGUAGES = {"en": "en_GB", "de": "de", "fr": "fr", "es": "es"}
CATALOGUES = Path(__file__).parent / "locale"
MOST_NAMES = 3
#: What a duration is told in: unit, its seconds, below how many seconds.
_UNITS = (
    ("second", 1, 120.0),
    ("minute", 60, 7200.0),
    ("hour", 3600, 172_800.0),
    ("day", 86_400, inf),
)


@cache
def translations(language: str) -> NullTranslations:
    """The messages of a language; English says them as they are."""
    path = CATALOGUES / language / "LC_MESSAGES" / "story.po"
    if language == "en":
        return NullTranslations()
    compiled = BytesIO()
    with path.open("rb") as file:
        write_mo(compiled, read_po(file, locale=language))
    compiled.seek(0)
    return GNUTranslations(compiled)


@cache
def _locale(language: str) -> Locale:
    return Locale.parse(LANGUAGES[language])


@dataclass(frozen=True, slots=True)
class Voice:
    """One language and the time zone of who reads; both as far as they are known."""

    language: str = "en"
    zone: tzinfo = UTC

    @classmethod
    def of(cls, language: str = "", zone: str = "") -> "Voice":
        """The voice for a language as people write it ("de-AT") and a zone's name.

        English where we do not speak the language, UTC where nobody knows the zone.
        """
        spoken = language.replace("_", "-").split("-")[0].strip().lower()
        try:
            where: tzinfo = ZoneInfo(zone) if zone and zone != "UTC" else UTC
        except (ZoneInfoNotFoundError, ValueError, OSError):
            where = UTC
        return cls(spoken if spoken in LANGUAGES else "en", where)

    @property
    def locale(self) -> Locale:
        """The language's CLDR data."""
        return _locale(self.language)

    # ---- messages: pybabel collects the arguments of these three ------------------------------------

    def say(self, message: str, **values: object) -> str:
        """A message of the catalogue with its places filled."""
        return translations(self.language).gettext(message).format(**values)

    def many(self, one: str, other: str, n: int, **values: object) -> str:
        """The message whose form fits `n`; `{n}` in it is the number as this language writes it."""
        found = translations(self.language).ngettext(one, other, n)
        return found.format(n=self.number(n), **values)

    def case(self, context: str, one: str, other: str, n: int, **values: object) -> str:
        """The same for words that other languages bend otherwise in this context."""
        found = translations(self.language).npgettext(context, one, other, n)
        return found.format(n=self.number(n), **values)

    # ---- figures ------------------------------------------------------------------------------------

    def number(self, n: float) -> str:
        """A count or decimal: 4,120 · 4.120 · 4 120; in Spanish four digits stand together."""
        return _number(n, self.language)

    def decimal(self, x: float) -> str:
        """A factor with one digit after the point, whole or not."""
        return str(format_decimal(x, format="#,##0.0", locale=self.locale))

    def percent(self, share: float, digits: int = 0) -> str:
        """A share as people say it: "31 %", "under 1 %", "over 99 %"."""
        edge = 10 ** -(digits + 2)
        if 0 < share < edge:
            return self.say("under {share}", share=self._percent(edge, digits))
        if 1 - edge < share < 1:
            return self.say("over {share}", share=self._percent(1 - edge, digits))
        return self._percent(share, digits)

    def _percent(self, share: float, digits: int) -> str:
        # English as everywhere in the portal, with a blank.
        pattern = "#,##0 %" if self.language == "en" else self.locale.percent_formats[None].pattern
        exact = pattern.replace("0", f"0.{'0' * digits}") if digits else pattern
        return str(format_percent(share, format=exact, locale=self.locale))

    def money(self, amount: float, currency: str) -> str:
        """A whole amount with its currency; the bare number where nobody said which."""
        if not is_currency(currency):
            return f"{self.number(round(amount))} {currency}".strip()
        pattern = self.locale.currency_formats["standard"].pattern.replace(".00", "")
        return str(
            format_currency(
                round(amount),
                currency,
                format=pattern,
                locale=self.locale,
                currency_digits=False,
                group_separator=_grouped(amount, self.language),
            )
        )

    def duration(self, seconds: float) -> str:
        """ "48 seconds", "22 minutes", "3.5 hours", "3 days"."""
        if seconds < 1:
            return self.say("less than a second")
        unit, length = next((unit, length) for unit, length, until in _UNITS if seconds < until)
        n = round(seconds / length, int(unit in {"hour", "day"}))
        return str(
            format_unit(int(n) if n == int(n) else n, f"duration-{unit}", locale=self.locale)
        )

    def between(self, low: float, high: float) -> str:
        """ "between 180 and 310", of numbers that are rounded already."""
        return self.say("between {low} and {high}", low=self.number(low), high=self.number(high))

    def about(self, interval: Interval) -> str:
        """ "about 240, between 180 and 310": rounded to what the interval supports."""
        low, middle, high = rounded(interval)
        return self.say("about {n}, {range}", n=self.number(middle), range=self.between(low, high))

    def clauses(self, clauses: Iterable[str]) -> str:
        """Clauses that stand for themselves, as one sentence has them: "3 got through; 2 gave up"."""
        first, *others = clauses
        for other in others:
            first = self.say("{clauses}; {clause}", clauses=first, clause=other)
        return first

    # ---- names --------------------------------------------------------------------------------------

    def quoted(self, name: str) -> str:
        """A name that we did not choose, in this language's quotation marks."""
        return self.say("“{name}”", name=name)

    def names(self, names: Iterable[str], most: int = MOST_NAMES) -> str:
        """ "Acme, Globex and Initech", with how many others there are beyond the first few."""
        every = list(names)
        told = every[:most]
        if more := len(every) - len(told):
            told.append(self.many("{n} other", "{n} others", more))
        return str(format_list(told, locale=self.locale))

    # ---- times --------------------------------------------------------------------------------------

    def where(self) -> str:
        """Whose clock it is: "UTC", "Berlin time"."""
        return _where(self)

    def clock(self, moment: datetime, *, seconds: bool = False) -> str:
        """A time of day on the reader's clock."""
        width = "medium" if seconds else "short"
        return str(format_time(moment, width, tzinfo=self.zone, locale=self.locale))

    def day(self, moment: datetime) -> str:
        """A date on the reader's calendar."""
        return str(format_date(moment.astimezone(self.zone), "long", locale=self.locale))

    def span(self, start: datetime, end: datetime) -> str:
        """ "between 10:04 and 10:30 UTC on 3 November 2026"."""
        return _span(self, start, end)


# The same for all customers of a window; Babel takes its time over each.


@lru_cache(maxsize=4096)
def _number(n: float, language: str) -> str:
    grouped = _grouped(n, language)
    return str(format_decimal(n, locale=_locale(language), group_separator=grouped))


def _grouped(n: float, language: str) -> bool:
    # CLDR's minimum of grouped digits, which Babel does not follow.
    return language != "es" or abs(n) >= 10_000


@lru_cache(maxsize=256)
def _where(voice: Voice) -> str:
    name = getattr(voice.zone, "key", "UTC")
    if name in {"UTC", "Etc/UTC"}:
        return "UTC"
    city = get_timezone_location(voice.zone, locale=voice.locale, return_city=True)
    # "Argentina/Buenos Aires" is how the zone is filed, not what people call it.
    return voice.say("{city} time", city=str(city).rpartition("/")[2])


@lru_cache(maxsize=256)
def _span(voice: Voice, start: datetime, end: datetime) -> str:
    begin, until = start.astimezone(voice.zone), end.astimezone(voice.zone)
    if begin.date() != until.date():
        return voice.say(
            "between {start_day} {start} and {end_day} {end} {zone}",
            start_day=voice.day(start),
            start=voice.clock(start),
            end_day=voice.day(end),
            end=voice.clock(end),
            zone=voice.where(),
        )
    odd = any(moment.second or moment.microsecond for moment in (start, end))
    seconds = odd and (end - start).total_seconds() <= 3600
    return voice.say(
        "between {start} and {end} {zone} on {day}",
        start=voice.clock(start, seconds=seconds),
        end=voice.clock(end, seconds=seconds),
        zone=voice.where(),
        day=voice.day(start),
    )


def rounded(interval: Interval) -> tuple[int, int, int]:
    """Low, estimate and high of a count, rounded to what the width of the interval supports."""
    width = max(1.0, interval.high - interval.low)
    unit = int(10 ** max(0, floor(log10(width / 4)))) if isfinite(width) else 1

    def to_unit(value: float) -> int:
        return max(0, round(value / unit) * unit)

    low = to_unit(interval.low)
    # What is surely more than nothing is not called nothing.
    low = max(1, low) if interval.low > 0 else low
    return low, to_unit(interval.estimate), to_unit(interval.high)


def capital(text: str) -> str:
    """The sentence with a capital where it begins."""
    return text[:1].upper() + text[1:]
