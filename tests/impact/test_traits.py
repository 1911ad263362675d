"""Whom it hit: attempts by region and other traits, from what requests carry to the JSON."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command

from apps.telemetry import catalogue
from apps.telemetry.models import TraitSet

pytestmark = pytest.mark.django_db

START = datetime(2026, 11, 2, 10, tzinfo=UTC)


def line(second, person, status, **more):
    ts = START + timedelta(seconds=second)
    return json.dumps(
        {"ts": ts.isoformat(), "user": person, "operation": "buy", "status": status, **more}
    )


def shop(regions, *, failing, people=40):
    """Forty people of each region try once; most of the failing region's get nowhere."""
    for at, region in enumerate(regions):
        for number in range(people):
            bad = region == failing and number % 4 != 0
            yield line(
                at + 10 * number, f"{region}-{number}", 500 if bad else 200,
                region=region, app_version=f"3.{number // 4 % 2}",
            )  # fmt: skip


def told(tmp_path, lines, capsys):
    log = tmp_path / "events.ndjson"
    log.write_text("\n".join(lines) + "\n")
    call_command("ingest", str(log))
    capsys.readouterr()
    call_command("impact", "--all", "--json")
    return json.loads(capsys.readouterr().out)


def of(answer, name):
    return {one["value"]: one for one in answer["traits"] if one["name"] == name}


def test_the_region_that_failed_stands_out_and_no_other_trait_does(tmp_path, capsys):
    answer = told(tmp_path, shop(["eu", "us", "asia"], failing="eu"), capsys)
    regions, versions = of(answer, "region"), of(answer, "app_version")
    assert regions["eu"]["actors"] == {"total": 40, "failed": 30}
    assert regions["us"]["attempts"] == {"total": 40, "failed": 0}
    assert [name for name, one in regions.items() if one["stands_out"]] == ["eu"]
    assert regions["eu"]["times"]["low"] > 5
    assert regions["us"]["times"]["high"] < 1
    assert not any(one["stands_out"] for one in versions.values())
    sums = [sum(one["attempts"]["total"] for one in each.values()) for each in (regions, versions)]
    assert sums == [answer["attempts"]["total"]] * 2


def test_where_all_fare_alike_nothing_stands_out(tmp_path, capsys):
    lines = [
        line(10 * n, f"p{n}", 500 if n % 5 == 0 else 200, region=f"r{n % 3}") for n in range(180)
    ]
    answer = told(tmp_path, lines, capsys)
    assert len(answer["traits"]) == 3
    for one in answer["traits"]:
        assert one["times"]["low"] < 1 < one["times"]["high"]
        assert not one["stands_out"]


def test_too_few_are_not_compared(tmp_path, capsys):
    answer = told(tmp_path, shop(["eu", "us"], failing="eu", people=12), capsys)
    assert [one["times"] for one in answer["traits"]] == [None] * 4


def test_without_traits_there_is_no_breakdown(tmp_path, capsys):
    answer = told(tmp_path, [line(n, f"p{n}", 200) for n in range(9)], capsys)
    assert answer["traits"] == []
    assert not TraitSet.objects.exists()


def test_logs_with_and_without_are_told_together(tmp_path, capsys):
    told(tmp_path, [line(n, f"q{n}", 200) for n in range(9)], capsys)
    answer = told(tmp_path, shop(["eu", "us"], failing="eu"), capsys)
    assert sum(one["attempts"]["total"] for one in of(answer, "region").values()) == 80
    assert answer["attempts"]["total"] == 89


def test_what_a_trait_may_hold(tmp_path, capsys):
    lines = [
        line(0, "a", 200, region="x" * 500),
        line(1, "b", 200, region="a\x00b\nc"),
        line(2, "c", 200, region="  "),
        line(3, "d", 200, region=None),
        line(4, "e", 200, region=["eu"]),
        line(5, "f", 200, region=7),
    ]
    answer = told(tmp_path, lines, capsys)
    assert answer["attempts"]["total"] == 6
    assert {"x" * 50, "abc", "7"} <= set(of(answer, "region"))


def test_a_flood_of_values_costs_the_breakdown_and_nothing_else(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(catalogue, "MOST_TRAIT_SETS", 5)
    lines = [line(n, f"p{n}", 200, region=f"r{n}") for n in range(50)]
    answer = told(tmp_path, lines, capsys)
    assert answer["attempts"]["total"] == 50
    assert TraitSet.objects.count() == 5


def test_kinds_are_the_sums_of_their_customers(tmp_path, capsys, django_user_model):
    from apps.customers.models import Customer, Kind

    for slug, kind in (("a", Kind.BUSINESS), ("b", Kind.BUSINESS), ("c", Kind.CONSUMERS)):
        Customer.objects.create(name=slug, slug=slug, kind=kind)
    lines = [
        line(n, f"p{n}", 500 if n < 3 else 200, customer="abc"[n % 3], region="eu")
        for n in range(30)
    ]
    answer = told(tmp_path, lines, capsys)
    kinds = {one["kind"]: one for one in answer["kinds"]}
    assert kinds["business"]["customers"] == {"total": 2, "hit": 2}
    assert kinds["business"]["requests"] == {"total": 20, "failed": 2}
    assert kinds["consumers"]["attempts"]["total"] == 10
    assert sum(one["attempts"]["total"] for one in kinds.values()) == answer["attempts"]["total"]


def test_a_log_may_call_a_trait_otherwise(tmp_path, capsys):
    rules = tmp_path / "rules.toml"
    rules.write_text('[fields]\nregion = "where"\n')
    log = tmp_path / "events.ndjson"
    log.write_text("\n".join(line(n, f"p{n}", 200, where="eu") for n in range(3)) + "\n")
    call_command("ingest", str(log), rules=str(rules))
    capsys.readouterr()
    call_command("impact", "--all", "--json")
    assert list(of(json.loads(capsys.readouterr().out), "region")) == ["eu"]
