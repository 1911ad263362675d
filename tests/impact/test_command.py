"""`manage.py impact`: right on real traffic, and clear when it is asked something wrong."""

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from tests.factories import make_customer

DATA = Path(__file__).parent.parent / "data" / "realwriters"
EXPECTED = json.loads((DATA / "expected.json").read_text())["nginx"]

pytestmark = pytest.mark.django_db


def ingest(name: str, **options) -> None:
    call_command("ingest", str(DATA / name), stdout=StringIO(), stderr=StringIO(), **options)


def impact(*arguments: str) -> str:
    out = StringIO()
    call_command("impact", *arguments, stdout=out)
    return out.getvalue()


def measures(*arguments: str) -> dict:
    return json.loads(impact(*arguments, "--json"))


def named(entries: list[dict], word: str) -> dict:
    return next(entry for entry in entries if word in entry["name"].lower())


@pytest.mark.parametrize(
    "log", ["nginx_timed.log", "nginx_json.ndjson", "nginx_combined.log", "nginx_masked_timed.log"]
)
def test_numbers_equal_what_the_replayer_counted(log):
    ingest(log)

    found = measures("--all")

    assert found["requests"]["total"] == EXPECTED["customer_requests"]
    assert found["requests"]["failed"] == EXPECTED["failed_5xx"]
    assert found["requests"]["client_aborts"] == EXPECTED["client_aborts"]
    assert found["actors"]["total"] == EXPECTED["sessions_total"]
    assert found["actors"]["hit"] == EXPECTED["sessions_hit"]
    checkout = named(found["journeys"], "checkout")
    assert checkout["requests"]["total"] == EXPECTED["orders_tried_events"]
    assert checkout["requests"]["failed"] == EXPECTED["orders_failed_events"]
    assert checkout["actors"]["hit"] == len(EXPECTED["sessions_with_failed_order"])
    assert checkout["attempts"]["gave_up"] == 1
    assert checkout["attempts"]["came_back"] == len(EXPECTED["of_these_later_ordered"])


def test_two_logs_of_the_same_requests_count_them_once():
    ingest("nginx_timed.log")
    ingest("nginx_json.ndjson")

    found = measures("--all")

    assert found["requests"]["total"] == EXPECTED["customer_requests"]
    assert found["requests"]["duplicates"] == EXPECTED["customer_requests"]
    assert found["requests"]["failed"] == EXPECTED["failed_5xx"]


def test_every_figure_carries_its_basis():
    ingest("nginx_timed.log")

    found = measures("--all")

    assert found["window"] == {"from": "2026-11-22T22:14:37Z", "to": "2026-11-22T22:16:51.001Z"}
    assert found["watermark"] == "2026-11-22T22:16:51Z"
    assert found["provisional"] is True
    assert found["coverage"]["actor"] == 1.0
    assert found["coverage"]["named_customer"] == 0.0
    assert "cannot_tell" in found["lost_attempts"]
    assert {gap["code"] for gap in found["gaps"]} >= {"weeks"} or found["gaps"]
    for gap in found["gaps"]:
        assert gap["question"]
        assert gap["why"]
        assert gap["closes_by"]
    attempts = found["attempts"]
    assert attempts["total"] == sum(n for name, n in attempts.items() if name != "total")


def test_the_story_is_told_in_sentences():
    ingest("nginx_timed.log")

    told = impact("--all")

    assert "6 of 20 people met a failure: 50 of 862 requests failed." in told
    assert "What we cannot tell" in told
    assert "Basis: 2026-11-22T22:14:37Z to" in told


def test_the_story_is_told_in_the_language_and_zone_of_who_reads():
    ingest("nginx_timed.log")

    german = impact("--all", "--language", "de", "--time-zone", "Europe/Berlin")
    boss = impact("--all", "--reader", "executive")

    assert (
        "6 von 20 Personen stießen auf einen Fehler: 50 von 862 Anfragen schlugen fehl." in german
    )
    assert "am 22. November 2026" in german.replace("Am", "am")
    assert "(Ortszeit Berlin)" in german
    assert "Was sich nicht sagen lässt" in german
    assert "We cannot" not in german
    assert "Grundlage: 2026-11-22T22:14:37Z bis" in german
    # The same facts, in the order of what matters to them.
    staff, boss = (told.partition("Basis:")[0].splitlines() for told in (impact("--all"), boss))
    assert sorted(boss) == sorted(staff)


def test_the_story_is_told_as_a_customer_reads_it():
    ingest("nginx_timed.log")
    make_customer("Acme", language="fr", time_zone="Europe/Paris")

    told = impact("--all", "--customer", "acme")

    assert told.startswith("Nous n’avons vu aucune requête de votre part le 22 novembre 2026 entre")
    assert "heure locale" in told


def test_a_window_counts_only_what_began_in_it():
    ingest("nginx_timed.log")

    first = measures("--from", "2026-11-22T22:15:40Z", "--to", "2026-11-22T22:15:59Z")
    second = measures("--from", "2026-11-22T22:15:59Z", "--to", "2026-11-22T22:16:52Z")

    assert first["requests"]["failed"] == 10
    assert second["requests"]["failed"] == 40


def test_seen_while_it_went_on_what_failed_last_is_still_open():
    ingest("nginx_timed.log")

    found = measures("--all", "--as-of", "2026-11-22T22:16:51Z")

    assert named(found["journeys"], "checkout")["attempts"]["open"] == 1


def test_one_service_alone():
    ingest("nginx_timed.log", service="shop")
    ingest("nginx_combined.log", service="other")

    assert measures("--all", "--service", "shop")["requests"]["total"] == 862


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--all", "--customer", "nobody"], "no customer 'nobody'"),
        (["--all", "--time-zone", "Mars/Base"], "'Mars/Base' is no time zone"),
        ([], "Say which window"),
        (["--from", "2026-11-22T22:15:00Z"], "Say which window"),
        (["--all", "--from", "2026-11-22T22:15:00Z"], "Say which window"),
        (
            ["--from", "yesterday", "--to", "2026-11-22T22:15:00Z"],
            "--from: 'yesterday' is not a time",
        ),
        (["--from", "2026-13-45T00:00:00Z", "--to", "2026-11-22T22:15:00Z"], "is not a time"),
        (["--from", "2026-11-22T22:15:00Z", "--to", "2026-11-22T22:14:00Z"], "must be before"),
        (["--from", "2036-01-01T00:00:00Z", "--to", "2036-01-02T00:00:00Z"], "in the future"),
        (["--from", "0001-01-01T00:00:00+14:00", "--to", "2026-01-02T00:00:00Z"], "--from"),
        (["--from", "1960-01-01", "--to", "2026-01-02"], "before 1971"),
        (["--all", "--service", "nope"], "There is no service 'nope'. There is: web."),
    ],
)
def test_a_wrong_question_is_refused_in_words(arguments, said):
    ingest("nginx_timed.log")

    with pytest.raises(CommandError, match=said.replace("(", r"\(").replace(".", r"\.")):
        impact(*arguments)


def test_without_events_it_says_what_to_do():
    with pytest.raises(CommandError, match="There are no events yet"):
        impact("--all")


@pytest.mark.parametrize("addresses", [1, 3])
def test_sessions_behind_few_addresses_are_not_taken_for_few_people(addresses, tmp_path):
    """Twenty people behind a proxy are not "two people, both hit"."""
    seen: dict[str, str] = {}
    lines = []
    for line in (DATA / "nginx_combined.log").read_text().splitlines():
        address, rest = line.split(" ", 1)
        lines.append(f"{seen.setdefault(address, f'10.0.0.{len(seen) % addresses}')} {rest}")
    log = tmp_path / "proxied.log"
    log.write_text("\n".join(lines) + "\n")
    ingest(log)
    answer = measures("--all")
    assert answer["actors"]["total"] is None
    assert answer["actors"]["at_least"]["hit"] <= EXPECTED["sessions_hit"]
    assert "proxy" in {gap["code"] for gap in answer["gaps"]}
