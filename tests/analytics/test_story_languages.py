"""The story in every language: whole catalogues, the same numbers, nothing missing, nobody made out."""

import json
import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from string import Formatter

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.analytics import story
from apps.analytics.attempts import Conduct
from apps.analytics.measures import CannotTell, NotReturned, Outage, UserUptime
from apps.analytics.measures.traits import TimesAsMany, TraitImpact
from apps.analytics.reasons import Why, told_as
from apps.analytics.results import (
    CLASSES,
    Actors,
    Attempts,
    Blocked,
    Coverage,
    CustomerImpact,
    CustomerJourney,
    ExtraWait,
    Fact,
    Figures,
    Gap,
    ImpactResult,
    JourneyImpact,
    MeterImpact,
    Requests,
    ValueAtRisk,
)
from apps.analytics.stats import Interval, Lost
from apps.analytics.story import LANGUAGES, READERS, Voice
from apps.analytics.story.voice import CATALOGUES
from apps.analytics.story.words.unknown import REASONS
from tests.analytics.world import DAY, HOUR, START

OTHERS = sorted(set(LANGUAGES) - {"en"})
KEYWORDS = {"say": (1,), "many": (1, 2), "case": ((1, "c"), 2, 3)}
VOICES = [Voice.of(language) for language in LANGUAGES]


# ---- the catalogues ----------------------------------------------------------------------------


@cache
def messages_of_the_code():
    """(context, singular or only message) -> all its English forms."""
    found = {}
    for _, _, message, _, context in extract_from_dir(
        str(Path(story.__file__).parent), [("**.py", "python")], keywords=KEYWORDS
    ):
        forms = (message,) if isinstance(message, str) else tuple(message[-2:])
        found[context, forms[0]] = forms
    return found


def catalogue(language):
    with (CATALOGUES / language / "LC_MESSAGES" / "story.po").open("rb") as file:
        return read_po(file, locale=language, abort_invalid=True)


def places(text):
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("language", OTHERS)
def test_every_message_is_translated_with_its_places_and_forms(language):
    english = dict(messages_of_the_code())
    assert len(english) > 100
    book = catalogue(language)
    for message in book:
        if not message.id:
            continue
        only = message.id if isinstance(message.id, str) else message.id[0]
        forms = english.pop((message.context, only))
        said = (message.string,) if isinstance(message.string, str) else message.string
        assert len(said) == (1 if len(forms) == 1 else book.num_plurals)
        assert not message.fuzzy
        for text in said:
            assert text.strip()
            assert "  " not in text
            # A form for one may leave its number unsaid, as English may; nothing else is left out.
            assert places(text) in [places(form) for form in forms], text
        assert places(said[-1]) == places(forms[-1])
    assert not english, "run `make messages`"


@pytest.mark.parametrize("language", OTHERS)
def test_plural_forms_are_those_of_the_language(language):
    voice, english = Voice.of(language), Voice()

    def people(n):
        return voice.many("{n} person", "{n} people", n)

    one, other, million = people(1), people(2), people(1_000_000)
    assert one.split()[-1] != other.split()[-1]
    assert english.many("{n} person", "{n} people", 1) == "1 person"
    if language == "fr":
        assert people(0).endswith("personne")
        assert million.endswith("000 de personnes".replace(" ", "\u202f", 0))
    elif language == "es":
        assert people(0).endswith("personas")
        assert million == "1.000.000 de personas"
    else:
        assert million == "1.000.000 Personen"


def test_numbers_times_and_lists_follow_the_language():
    from datetime import UTC, datetime

    start = datetime(2026, 11, 3, 22, 4, tzinfo=UTC)
    end = datetime(2026, 11, 3, 22, 30, tzinfo=UTC)
    said = {
        code: (
            voice.number(4120),
            voice.number(12_345),
            voice.duration(12_600),
            voice.names(["Acme", "Globex", "Initech", "Hooli"]),
            voice.span(start, end),
        )
        for code, voice in (
            ("en", Voice.of("en-GB")),
            ("de", Voice.of("de-AT", "Europe/Vienna")),
            ("fr", Voice.of("fr", "America/Montreal")),
            ("es", Voice.of("es", "nowhere")),
        )
    }
    assert said["en"] == (
        "4,120",
        "12,345",
        "3.5 hours",
        "Acme, Globex, Initech and 1 other",
        "between 22:04 and 22:30 UTC on 3 November 2026",
    )
    assert said["de"] == (
        "4.120",
        "12.345",
        "3,5 Stunden",
        "Acme, Globex, Initech und 1 weitere",
        "am 3. November 2026 zwischen 23:04 und 23:30 Uhr (Ortszeit Wien)",
    )
    assert said["fr"][0] == "4\u202f120"
    assert said["fr"][4].startswith("le 3 novembre 2026 entre 17:04 et 17:30 (heure locale\u00a0: ")
    assert said["es"] == (
        "4120",
        "12.345",
        "3,5 horas",
        "Acme, Globex, Initech y 1 más",
        "el 3 de noviembre de 2026 de 22:04 a 22:30 (UTC)",
    )
    # The same window lies on two days for somebody further east.
    assert "du 3 novembre" not in said["fr"][4]
    east = Voice.of("fr", "Asia/Tokyo").span(start.replace(hour=14), start.replace(hour=15))
    assert east.startswith("du 3 novembre 2026 à 23:04 au 4 novembre 2026 à 00:04")


def test_a_language_that_we_do_not_speak_is_english():
    assert Voice.of("pt-BR") == Voice.of("") == Voice()


# ---- any story ---------------------------------------------------------------------------------

counts = st.integers(0, 3) | st.integers(0, 3_000) | st.just(1_000_000)
names = st.sampled_from(["Purchase", "Log in", "a & b", "<b>", "Ünïcode", "日本"])


@st.composite
def intervals(draw):
    middle = draw(st.floats(-50, 5_000))
    down, up = draw(st.floats(0, 800)), draw(st.floats(0, 800))
    return Interval(middle, middle - down, middle + up)


@st.composite
def attempts(draw):
    return Attempts(**{name: draw(counts) if draw(st.booleans()) else 0 for name in CLASSES})


@st.composite
def figures(draw):
    failed, ok = draw(counts), draw(counts)
    hit, fine = draw(counts), draw(counts)
    known = draw(st.booleans())
    wait = draw(counts)
    share = st.none() | st.floats(0, 1)
    half = draw(st.none() | st.floats(0, 4_000))
    return Figures(
        coverage=Coverage(draw(share), draw(share), draw(share)),
        requests=Requests(total=failed + ok, failed=failed),
        actors=Actors(hit + fine if known else None, hit if known else None, hit + fine, hit),
        attempts=draw(attempts()),
        people=draw(attempts()),
        extra_wait=ExtraWait(draw(st.floats(0, 1e7)), half, half and half * 3, wait),
        user_uptime=UserUptime(draw(share), draw(share), draw(share), 12),
        lost=draw(
            st.just(CannotTell("no earlier weeks"))
            | st.builds(
                Lost,
                st.floats(30, 9_000),
                counts,
                intervals(),
                st.just("ratio"),
                st.just(4),
                st.just(90),
            )
        ),
        not_returned=draw(
            st.just(CannotTell("no earlier weeks"))
            | st.builds(NotReturned, st.integers(30, 900), counts, intervals(), st.just(400))
        ),
    )


@st.composite
def journeys(draw, name):
    worth = draw(st.floats(0, 1e6))
    return JourneyImpact(
        id=1,
        name=name,
        declared=draw(st.booleans()),
        done=3,
        operations=(1, 2, 3),
        figures=draw(figures()),
        blocked_at=tuple(
            Blocked(step, 1, n) for step, n in draw(st.lists(st.tuples(names, counts), max_size=2))
        ),
        value=draw(
            st.none()
            | st.just(
                ValueAtRisk(draw(st.sampled_from(["EUR", "", "beans"])), worth, worth / 2, worth)
            )
        ),
        verb=draw(st.sampled_from(["", "place an order"])),
    )


@st.composite
def customers(draw, number):
    start = draw(st.integers(START, START + HOUR))
    at = draw(st.lists(st.tuples(names, attempts()), max_size=2, unique_by=lambda pair: pair[0]))
    theirs = tuple(
        CustomerJourney(
            name=name,
            attempts=made,
            people=draw(st.just(made) | attempts()),
            requests=made.total + made.failed,
            failed_requests=made.failed,
            actors=made.total,
            actors_hit=made.failed,
            verb=draw(st.sampled_from(["", "place an order"])),
        )
        for name, made in at
    )
    # Either whole, where what happened at journeys is all that happened, or whatever numbers.
    sums = Attempts(**{name: sum(getattr(made, name) for _, made in at) for name in CLASSES})
    whole = replace(
        draw(figures()),
        requests=Requests(total=sums.total + sums.failed, failed=sums.failed),
        attempts=sums,
        people=sums,
    )
    return CustomerImpact(
        id=number,
        name=draw(names),
        kind=draw(st.sampled_from(["business", "consumers", "internal"])),
        grade="hit",
        figures=draw(st.just(whole) | figures()),
        outage=draw(
            st.none()
            | st.builds(Outage, st.just(start), st.sampled_from([None, start + 90_500]), st.just(7))
        ),
        journeys=theirs,
    )


GAPS = (
    "sender",
    "meter",
    "actor",
    "proxy",
    "attempts",
    "open",
    "provisional",
    "lost_attempts",
    "not_returned",
    "new",
)


@st.composite
def results(draw):
    seconds = draw(st.sampled_from([1, 60, 1_560, 3_600, 90_000]))
    offset = draw(st.sampled_from([0, 500, -5 * HOUR]))
    return story.told(
        ImpactResult(
            start_ms=START + offset,
            end_ms=START + offset + 1000 * seconds,
            as_of_ms=START + 2 * DAY,
            watermark_ms=START + 2 * DAY,
            horizon_ms=DAY,
            provisional=draw(st.booleans()),
            figures=draw(figures()),
            journeys=tuple(
                draw(journeys(name)) for name in draw(st.lists(names, max_size=3, unique=True))
            ),
            operations=(),
            customers=tuple(draw(customers(n)) for n in range(draw(st.integers(0, 3)))),
            traits=tuple(
                TraitImpact(
                    "app_version", value, 90, 80, 70, n, TimesAsMany(low * 2, low, low * 5), True
                )
                for value, n, low in draw(
                    st.lists(st.tuples(names, counts, st.floats(0.5, 40)), max_size=2)
                )
            ),
            silent=draw(st.sampled_from([(), (("Shop", START - HOUR),)])),
            meters=tuple(
                MeterImpact((name,), ("buy",), 900, Conduct(50, 0.2, 0.01, 0.7, 0.01, 0.6), None)
                for name in draw(st.lists(names, max_size=1))
            ),
            gaps=tuple(
                Gap(code, "Which?", "too few", "Wait")
                for code in draw(st.lists(st.sampled_from(GAPS), max_size=3, unique=True))
            ),
            tenets=tuple(
                {"verdict": verdict, "clause": "99 % of purchases work"}
                for verdict in draw(
                    st.lists(st.sampled_from(["kept", "broken", "unknown"]), max_size=3)
                )
            ),
        )
    )


def numbers(text):
    """The numbers in a text, however a language writes them, in no order."""
    found = re.findall(r"\d(?:[\d.,\u202f\u00a0]*\d)?", text)
    return sorted(int(re.sub(r"\D", "", one)) for one in found)


@settings(max_examples=60, deadline=None)
@given(results())
def test_every_story_is_told_whole_in_every_language(result):
    for told in (result.facts, *(story.facts_for(result, n) for n in range(4))):
        kept = [Fact.from_json(one) for one in json.loads(json.dumps([f.as_json() for f in told]))]
        for fact in kept:
            said = [story.words(fact, voice) for voice in VOICES]
            for text in said:
                assert text == text.strip()
                assert text[-1] in ".…", text
                assert not re.search(r"[{}]|None(?! of )|\bnan\b|\binf\b|_| {2}|\(\)|\.\.", text), (
                    text
                )
            if fact.kind != "gap":  # in English a gap says its own reason
                assert len({tuple(numbers(text)) for text in said}) == 1, said
            assert len(set(said)) == len(VOICES), said
    for reader in READERS:
        for voice in VOICES:
            chosen = story.tell(result.facts, reader=reader, voice=voice)
            assert len([one for one in chosen if not one.basis.startswith("gaps.")]) <= 8
            assert all(one.text and one.basis for one in chosen)


def test_names_are_text_and_no_template():
    fact = Fact("hardest", "customers.attempts", detail={"names": ["{n} {x}", "%s"]})
    assert story.words(fact, Voice.of("de")) == "Am schwersten getroffen: {n} {x} und %s."


# ---- nobody is made out ------------------------------------------------------------------------

JOURNEYS = ("Purchase", "Log in", "Search")


@st.composite
def crowds(draw):
    """People of one customer: what each tried, how it ended, and which of their requests failed."""
    people = draw(st.integers(1, 30))
    few = st.sampled_from(CLASSES[:6])
    return [
        [
            (draw(st.sampled_from(JOURNEYS[: draw(st.integers(1, 3))])), draw(few))
            for _ in range(draw(st.integers(1, 2)))
        ]
        for _ in range(people)
    ]


FAILS = ("retried", "gave_up", "came_back", "open")


def of_crowd(crowd):
    """The customer that a computation would find, from its people."""

    def cut(at):
        tried = [(n, how) for n, person in enumerate(crowd) for where, how in person if where in at]
        each = {name: [n for n, how in tried if how == name] for name in CLASSES}
        failed = sum(how in FAILS for _, how in tried)
        again = len(each["retried"])
        return {
            "attempts": Attempts(**{name: len(them) for name, them in each.items()}),
            "people": Attempts(**{name: len(set(them)) for name, them in each.items()}),
            "requests": len(tried) + again,
            "failed": failed,
            "actors": len({n for n, _ in tried}),
            "hit": len({n for n, how in tried if how in FAILS}),
        }

    everything = cut(JOURNEYS)
    blank = CannotTell("-")
    whole = Figures(
        coverage=Coverage(1, 1, 1),
        requests=Requests(total=everything["requests"], failed=everything["failed"]),
        actors=Actors(
            everything["actors"], everything["hit"], everything["actors"], everything["hit"]
        ),
        attempts=everything["attempts"],
        people=everything["people"],
        extra_wait=ExtraWait(),
        user_uptime=UserUptime(None, None, None, 0),
        lost=blank,
        not_returned=blank,
    )
    found = {name: cut((name,)) for name in JOURNEYS}
    customer = CustomerImpact(
        id=1,
        name="Acme",
        kind="business",
        grade="hit",
        figures=whole,
        journeys=tuple(
            CustomerJourney(
                name=name,
                attempts=one["attempts"],
                people=one["people"],
                requests=one["requests"],
                failed_requests=one["failed"],
                actors=one["actors"],
                actors_hit=one["hit"],
            )
            for name, one in found.items()
            if one["attempts"].total
        ),
    )
    return ImpactResult(
        START,
        START + HOUR,
        START + 2 * DAY,
        START + 2 * DAY,
        DAY,
        False,
        whole,
        (),
        (),
        (customer,),
        (),
    )


@settings(max_examples=300, deadline=None)
@given(crowds())
def test_no_part_and_no_remainder_is_of_fewer_than_five(crowd):
    result = of_crowd(crowd)
    told = story.facts_for(result, 1)
    named = {fact.who: fact for fact in told if fact.who}

    def behind(wanted):
        return len({n for n, person in enumerate(crowd) for one in person if wanted(*one)})

    def safe(wanted):
        assert behind(wanted) == 0 or behind(wanted) >= story.K_ANONYMOUS

    broken_down = {name for name, fact in named.items() if fact.kind == "theirs_ended"}
    for how in CLASSES:
        for name in broken_down:
            safe(lambda where, ended, how=how, name=name: where == name and ended == how)
        # What is left of all that they may see beside it.
        if broken_down:
            safe(lambda where, ended, how=how: where not in broken_down and ended == how)
    by_request = {name for name, fact in named.items() if fact.kind == "theirs_failed"}
    whole = {where for person in crowd for where, _ in person} == by_request
    if by_request and not whole:
        for name in by_request:
            safe(lambda where, ended, name=name: where == name and ended in FAILS)
        safe(lambda where, ended: where not in by_request | broken_down and ended in FAILS)
    if any(fact.kind == "theirs_slow" for fact in told):
        safe(lambda where, ended: ended == "slow")
        safe(lambda where, ended: ended != "slow")
    says_no_more_than(told, result.figures.requests)


def says_no_more_than(told, requests):
    """In no language is there a number that is not in the facts, the window or the totals."""
    allowed = {requests.failed, requests.total, 0, 10, 11, 18, 2026}
    for fact in told:
        allowed |= {int(fact.value or 0)}
        allowed |= {value for value in fact.detail.values() if type(value) is int}
    for voice in VOICES:
        for one in story.sentences(told, voice):
            assert set(numbers(one.text)) <= allowed, one.text


def test_what_is_left_beside_a_told_journey_gives_nobody_away():
    """7 of Purchase gave up; the 3 at Log in who did so too could be told by taking 7 from 10."""
    tried = [[("Purchase", "gave_up")]] * 7 + [[("Purchase", "first_try")]] * 8
    alone = story.facts_for(of_crowd(tried), 1)
    assert [fact.kind for fact in alone] == ["theirs_ended"]
    beside = story.facts_for(of_crowd([*tried, *[[("Log in", "gave_up")]] * 3]), 1)
    assert [(fact.kind, fact.who, fact.value) for fact in beside] == [("theirs_failed", "", 10)]
    others = story.facts_for(of_crowd([*tried, *[[("Log in", "gave_up")]] * 5]), 1)
    assert [(fact.kind, fact.who) for fact in others] == [
        ("theirs_ended", "Purchase"),
        ("theirs_ended", "Log in"),
    ]


def of_crowds(crowds_of_customers):
    """What a computation would find of several customers with the same journey, "Purchase"."""
    everybody = of_crowd([person for crowd in crowds_of_customers for person in crowd])
    customers = tuple(of_crowd(crowd).customers[0] for crowd in crowds_of_customers)
    journey = JourneyImpact(1, "Purchase", True, 3, (3,), everybody.figures)
    return story.told(replace(everybody, journeys=(journey,), customers=customers))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.lists(
            st.lists(st.sampled_from(CLASSES[:6]), min_size=1, max_size=2), min_size=1, max_size=14
        ),
        min_size=1,
        max_size=3,
    )
)
def test_what_everybody_reads_leaves_no_customer_their_neighbours_number(crowds_of_customers):
    """Each customer knows their own numbers: what is left of everybody's is of five people, or of nobody."""
    crowds_ = [
        [[("Purchase", how) for how in one] for one in crowd] for crowd in crowds_of_customers
    ]
    public = {fact.kind for fact in of_crowds(crowds_).facts if fact.public}

    def safe(wanted):
        behind = [sum(any(map(wanted, one)) for one in crowd) for crowd in crowds_of_customers]
        for left in (sum(behind), *(sum(behind) - mine for mine in behind)):
            assert left == 0 or left >= story.K_ANONYMOUS

    if "journey" in public:
        for name in CLASSES:
            safe(lambda how, name=name: how == name)
    if public & {"hit", "failed"}:
        safe(lambda how: how in FAILS)
    if "hit" in public:
        fine = sum(
            not any(how in FAILS for how in one) for crowd in crowds_of_customers for one in crowd
        )
        assert fine == 0 or fine >= story.K_ANONYMOUS
    if public & {"waiting", "none_lost"}:
        safe(lambda how: how == "retried")


def test_what_may_be_told_is_told_to_everybody():
    mine = [[("Purchase", "gave_up")]] * 9 + [[("Purchase", "first_try")]] * 9
    for others, public in ((3, set()), (5, {"journey", "hit", "failed"})):
        told = of_crowds([mine, [[("Purchase", "gave_up")]] * others])
        assert {fact.kind for fact in told.facts if fact.public} == public


# ---- what is not known ---------------------------------------------------------------------------

AT = "2026-11-03T10:30:00Z"
WHY = told_as(Why("only {n} people failed for good; {needed} are needed", n=17, needed=30))
NUMBERS = {
    "no_events": {},
    "meter": {"calls": 4120, "where": "Shop"},
    "sender": {"service": "Shop", "heard": AT, "others": 2},
    "proxy": {"proxies": 3},
    "actor": {"journey": "Pay", "unknown": 0.31, "at_least": 4120},
    "address": {"people": 17},
    "customer": {"unnamed": 0.004},
    "attempts": {"cannot_tell": 31, "attempts": 100},
    "extra_wait": {"n": 7, "needed": 20},
    "user_uptime": {"needed": 20, "blind": False},
    "put_off": {"reason": told_as("after the window fewer than usual began too"), "later": True},
    "net_lost": {"low": 240},
    "quiet": {"customers": 3, "needed": 5},
    "server_time": {},
    "ingest_time": {"hosts": 4, "attempts": 17},
    "too_few": {"exposed": 40, "seen": 12},
    "lost_attempts": {
        "reason": told_as(Why("only {n} earlier weeks to compare with; three are needed", n=2))
    },
    "not_returned": {"reason": WHY},
    "open": {"open": 17},
    "provisional": {"known_until": AT, "until": AT},
}


@pytest.mark.parametrize(("code", "kept"), NUMBERS.items())
def test_a_gap_says_its_reason_and_what_closes_it_in_every_language(code, kept):
    kept = json.loads(json.dumps(kept))
    said = [story.gap_words(code, kept, voice) for voice in VOICES]

    assert len(set(said)) == len(VOICES)
    assert len({tuple(numbers("; ".join(one))) for one in said}) == 1, said
    fact = Fact("gap", f"gaps.{code}", detail={"code": code, "numbers": kept})
    for voice, (question, why, _) in zip(VOICES[1:], said[1:], strict=True):
        told = story.words(fact, voice)
        assert told.startswith(question)
        assert why in told


def test_a_gap_whose_numbers_were_not_kept_is_still_told():
    fact = Fact("gap", "gaps.not_returned", detail={"code": "not_returned", "question": "Who?"})
    assert story.words(fact, Voice.of("de")) == (
        "Wer ist seither nicht wiedergekommen? Das lässt sich nicht sagen: Die Daten lassen es nicht zu."
    )
    fact = Fact("gap", "gaps.proxy", detail={"code": "proxy", "question": "Who?"})
    assert story.words(fact, Voice.of("de")) == (
        "Eine weitere Frage können wir noch nicht beantworten."
    )


def test_every_reason_of_a_measure_can_be_said_in_other_languages():
    """What measures refuse with stands in the catalogue, whoever adds one."""
    text = "".join(
        path.read_text()
        for name in ("measures/history", "measures/returns", "impact/assembling", "stats")
        for path in [Path(story.__file__).parent.parent / f"{name}.py"]
    )
    said = re.findall(r'(?:CannotTell|Why|NOT_PASSED =|return)[ (\n]*"([a-z][^"]+ [^"]+)"', text)
    others = {
        "user-uptime of the window itself cannot be told",
        "computed for everybody together only",
    }
    assert len(said) > 8
    assert not set(said) - REASONS - others
