"""Each session's fate in logs that real programs wrote, against what its replayer noted."""

import gzip
import json
import random
import re
from collections import Counter, defaultdict
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from apps.analytics.attempts import Frame, build_chains, clean, list_attempts
from apps.analytics.impact import connect
from apps.analytics.sql import Runner
from apps.catalog.models import Operation
from apps.impact import inputs

DATA = Path(__file__).parent.parent / "data" / "realwriters"
LOGS = [
    *("nginx_combined.log", "nginx_timed.log", "nginx_masked_timed.log", "nginx_json.ndjson"),
    *("envoy_access_default.log", "envoy_access_json.ndjson"),
]
W_S, DAY_S = 300, 86_400

pytestmark = pytest.mark.django_db


def truth(log: str) -> Counter:
    """How many sessions had just these attempts, from the replayer's notes and by the plainest of loops.

    An attempt is who asked for what with which class, how many tries and how many of them failed. Envoy's
    JSON names who is signed in, as they are where they post: their other requests are another actor's.
    """
    answered = "envoy" if "envoy" in log else "nginx"
    signed_in = log == "envoy_access_json.ndjson"
    asked = defaultdict(list)
    for one in json.loads((DATA / "truth.json").read_text()):
        asked[one["session"], one["method"], one["path"]].append((one["at"], one[answered] < 500))
    sessions = defaultdict(Counter)
    for (session, method, path), tries in asked.items():
        chains: list[list[tuple[float, bool]]] = []
        for at, ok in sorted(tries):
            if chains and not chains[-1][-1][1] and at - chains[-1][-1][0] <= W_S:
                chains[-1].append((at, ok))
            else:
                chains.append([(at, ok)])
        for number, chain in enumerate(chains):
            good, fails = chain[-1][1], sum(not ok for _, ok in chain)
            back = any(
                later[-1][1] and later[-1][0] - chain[-1][0] <= DAY_S
                for later in chains[number + 1 :]
            )
            fate = ("retried" if fails else "first_try") if good else None
            fate = fate or ("came_back" if back else "gave_up")
            who = session, signed_in and method == "POST"
            sessions[who][method, path.split("/")[1], fate, len(chain), fails] += 1
    return Counter(frozenset(one.items()) for one in sessions.values())


def fates(path: Path) -> Counter:
    """The same, as the portal finds it in a file."""
    call_command("ingest", str(path), stdout=StringIO(), stderr=StringIO())
    names = {
        pk: tuple(re.match(r"(\w+) /(\w+)", f"{method} {pattern}").groups())
        for pk, method, pattern in Operation.objects.values_list("pk", "method", "pattern")
    }
    found = defaultdict(Counter)
    with connect() as con:
        run = Runner(con)
        con.execute("SET enable_progress_bar = false")
        files = tuple(inputs.files(0, 2**52))
        start, end = con.execute(
            "SELECT min(ts), max(ts) FROM read_parquet($1)", [list(files)]
        ).fetchone()
        frame = Frame(
            files=files,
            start_ms=start,
            end_ms=end + 1,
            as_of_ms=end + 2 * DAY_S * 1000,
            data_end_ms=end + 2 * DAY_S * 1000,
            merged=inputs.catalogue().merged,
        )
        clean(run, frame)
        build_chains(run, frame)
        list_attempts(run, frame)
        for actor, operation, fate, tries, fails in run.rows(
            "SELECT actor, operation, class, tries, fails FROM listed"
        ):
            found[actor][(*names[operation], fate, tries, fails)] += 1
    return Counter(frozenset(one.items()) for one in found.values())


@pytest.mark.parametrize("log", LOGS)
def test_each_session_fares_as_it_was_replayed(log):
    assert fates(DATA / log) == truth(log)


@pytest.mark.parametrize("change", ["half a day out of order", "years old", "another zone"])
def test_a_log_fares_the_same_in_whatever_order_year_and_zone(change, tmp_path):
    lines = (DATA / "nginx_timed.log").read_text().splitlines()
    if change == "half a day out of order":
        random.Random(4).shuffle(lines)
    elif change == "years old":
        lines = [line.replace("/Nov/2026:", "/Nov/2009:") for line in lines]
    else:
        lines = [
            re.sub(r"22/Nov/2026:22:(\d\d:\d\d) \+0000", r"23/Nov/2026:03:\1 +0500", line)
            for line in lines
        ]
    log = tmp_path / "changed.log.gz"
    log.write_bytes(gzip.compress("\n".join(lines).encode() + b"\n"))

    assert fates(log) == truth("nginx_timed.log")


def test_deliveries_in_the_wrong_order_change_nobodys_fate(tmp_path):
    lines = (DATA / "nginx_timed.log").read_text().splitlines()
    for number, part in enumerate((lines[600:], lines[300:600])):
        log = tmp_path / f"{number}.log"
        log.write_text("\n".join(part) + "\n")
        call_command("ingest", str(log), stdout=StringIO(), stderr=StringIO())
    log = tmp_path / "first.log"
    log.write_text("\n".join(lines[:300]) + "\n")

    assert fates(log) == truth("nginx_timed.log")


@pytest.mark.parametrize("addresses", [1, 2, 3])
def test_behind_proxies_no_fate_is_made_up(addresses, tmp_path):
    """An address beside a proxy is none of its people; what a small one gave up, those behind it gave up."""
    doors: dict[str, str] = {}
    lines = []
    for line in (DATA / "nginx_combined.log").read_text().splitlines():
        address, rest = line.split(" ", 1)
        lines.append(f"{doors.setdefault(address, f'10.0.0.{len(doors) % addresses}')} {rest}")
    log = tmp_path / "hidden.log"
    log.write_text("\n".join(lines) + "\n")

    claimed, sent = went_wrong(fates(log)), went_wrong(truth("nginx_timed.log"))

    assert claimed["cannot_tell"] >= 40
    assert claimed["retried"] == claimed["came_back"] == 0
    assert claimed["gave_up"] < 10
    assert claimed["gave_up"] <= sent["gave_up"]


def went_wrong(sessions: Counter) -> Counter:
    """How many attempts of all sessions together ended in which class."""
    found: Counter = Counter()
    for session, times in sessions.items():
        for (_, _, fate, _, _), count in session:
            found[fate] += count * times
    return found


def test_everybody_behind_three_addresses_without_ids_is_not_told_as_three_people(tmp_path):
    lines = (DATA / "nginx_combined.log").read_text().splitlines()
    hidden = [
        re.sub(r"^203\.0\.113\.(\d+)", lambda m: f"198.51.100.{int(m[1]) % 3}", line)
        for line in lines
    ]
    log = tmp_path / "hidden.log"
    log.write_text("\n".join(hidden) + "\n")
    call_command("ingest", str(log), stdout=StringIO(), stderr=StringIO())
    out = StringIO()

    call_command("impact", "--all", "--json", stdout=out)

    found = json.loads(out.getvalue())
    assert found["requests"]["failed"] == 50
    assert found["actors"]["total"] is None or found["actors"]["hit"] is None
    assert "people met a failure" not in " ".join(found["story"])
