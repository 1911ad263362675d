"""Identification rules: their pages, their order, and what they make of requests."""

import gzip
import json
from itertools import permutations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.accounts.models import ApiKey, AuditEvent, Role, Scope
from apps.catalog.models import Operation, Service
from apps.customers.models import Customer, IdentificationRule
from apps.telemetry import actions, queries, trial
from apps.telemetry.actions import RuleDraft
from apps.telemetry.catalogue import identities
from apps.telemetry.formats.columns import Block, Rejects
from apps.telemetry.formats.fields import FieldNames
from apps.telemetry.formats.jsonlines import JsonLines
from apps.telemetry.models import Batch, HourCount, UnnamedGroups
from apps.telemetry.resolve import Resolver
from apps.telemetry.resolve.checks import BadValue, normal, shadows
from apps.telemetry.rules import Rules
from tests.factories import NOW, make_customer, make_user

pytestmark = pytest.mark.django_db
LIST, NEW, TRY = "/console/rules/", "/console/rules/new/", "/console/rules/test/"


@pytest.fixture
def acme():
    return make_customer("Acme", external_id="A-1")


@pytest.fixture
def globex():
    return make_customer("Globex")


@pytest.fixture
def alice():
    return make_user("Alice", role=Role.LEAD)


@pytest.fixture
def page(alice):
    client = Client(headers={"Sec-Fetch-Site": "same-origin"})
    client.force_login(alice)
    return client


def keep(user, customer, attribute, value, **more):
    draft = RuleDraft(customer=customer, attribute=attribute, value=value, **more)
    return actions.create_rule(draft=draft, user=user, now=NOW)


def order():
    return [one.value for one in queries.ranked_rules()]


def typed(**fields):
    return {"customer": "Acme", "attribute": "host", "value": "a.example", "enabled": "on"} | fields


def event(**fields) -> dict:
    return {"ts": NOW.isoformat(), "status": 200, "service": "shop"} | fields


def tried(*events) -> list[trial.Answer]:
    data = b"".join(json.dumps(event(**one)).encode() + b"\n" for one in events)
    return trial.attempt(data, now=timezone.now()).answers


def whose(*events) -> list[str]:
    return [one.customer.name if one.customer else "" for one in tried(*events)]


# The list


def test_a_rule_is_written_found_and_noted(page, acme, alice):
    answer = page.post(NEW, typed(value="API.Example.com:443", note="their own host"), follow=True)
    assert "requests that come in from now on belong to Acme" in answer.text
    assert "api.example.com" in answer.text
    rule = IdentificationRule.objects.get()
    assert (rule.value, rule.customer, rule.note, rule.enabled) == (
        "api.example.com",
        acme,
        "their own host",
        True,
    )
    noted = AuditEvent.objects.get(action="rule.create")
    assert noted.user == alice
    assert noted.after["value"] == "api.example.com"


def test_an_address_fills_the_form(page, acme):
    answer = page.get(
        NEW, {"attribute": "network", "value": "203.0.113.0/24", "customer": acme.slug}
    )
    assert 'value="203.0.113.0/24"' in answer.text
    assert '<option value="network" selected>' in answer.text
    assert 'value="acme"' in answer.text
    assert page.post(NEW, typed(customer=acme.slug)).status_code == 303
    assert page.get(NEW, {"attribute": "nonsense", "value": "<b>"}).status_code == 200


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"attribute": "network", "value": "10.0.0.0/33"}, "is no network"),
        ({"attribute": "network", "value": "not an address"}, "203.0.113.0/24"),
        ({"attribute": "host", "value": "https://a.example/x"}, "without https://"),
        ({"attribute": "host", "value": "a b"}, "no host name"),
        ({"attribute": "path_prefix", "value": "partners"}, "begins with /"),
        ({"attribute": "path_prefix", "value": "/a/{id}"}, "letter by letter"),
        ({"attribute": "api_key", "value": " "}, "required"),
        ({"attribute": "api_key", "value": "a\u200bb"}, "cannot be printed"),
        ({"attribute": "nonsense"}, "Select a valid choice"),
        ({"customer": "Acm"}, "Perhaps: Acme"),
        ({"customer": "Nobody at all"}, "We know no customer"),
        ({"actor_from": "path_prefix"}, "Select a valid choice"),
        ({"place": "0"}, "greater than or equal to 1"),
    ],
)
def test_what_is_wrong_is_said(page, acme, fields, words):
    answer = page.post(NEW, typed(**fields))
    assert answer.status_code == 422
    assert words in answer.text
    assert not IdentificationRule.objects.exists()


def test_a_name_that_two_customers_bear_is_asked_back(page, acme):
    make_customer("ACME", slug="acme-2")
    assert "Several customers" in page.post(NEW, typed(customer="Acme ")).text
    assert page.post(NEW, typed(customer="A-1")).status_code == 303


def test_the_same_rule_twice_is_refused(page, alice, acme, globex):
    first = keep(alice, globex, "network", "10.1.2.3/8")
    assert first.value == "10.0.0.0/8"
    answer = page.post(NEW, typed(attribute="network", value="10.9.9.9/8"))
    assert answer.status_code == 422
    assert "There is a rule for this already: it names Globex" in answer.text
    other = keep(alice, acme, "network", "10.2.0.0/16")
    answer = page.post(f"{LIST}{other.pk}/edit/", typed(attribute="network", value="10.0.0.0/8"))
    assert "it names Globex" in answer.text


def test_a_rule_that_is_never_reached_is_said(page, alice, acme, globex):
    keep(alice, globex, "network", "10.0.0.0/8")
    answer = page.post(NEW, typed(attribute="network", value="10.2.0.0/16"), follow=True)
    assert "Rule 1 (10.0.0.0/8) is asked before it" in answer.text
    assert "never reached" in answer.text
    inner = IdentificationRule.objects.get(value="10.2.0.0/16")
    page.post(f"{LIST}{inner.pk}/move/", {"do": "up"})
    assert "never reached" not in page.get(LIST).text


def test_rules_move_and_keep_their_order(page, alice, acme):
    for value in ("a.example", "b.example", "c.example"):
        keep(alice, acme, "host", value)
    IdentificationRule.objects.update(position=100)  # as rules that were made elsewhere
    second = IdentificationRule.objects.get(value="b.example")

    page.post(f"{LIST}{second.pk}/move/", {"do": "up"})
    assert order() == ["b.example", "a.example", "c.example"]
    page.post(f"{LIST}{second.pk}/move/", {"do": "up"})
    page.post(f"{LIST}{second.pk}/move/", {"do": "down"})
    page.post(f"{LIST}{second.pk}/move/", {"do": "down"})
    page.post(f"{LIST}{second.pk}/move/", {"do": "down"})
    assert order() == ["a.example", "c.example", "b.example"]
    keep(alice, acme, "host", "first.example", place=1)
    keep(alice, acme, "host", "last.example", place=99)
    assert order() == ["first.example", "a.example", "c.example", "b.example", "last.example"]
    page.post(f"{LIST}{second.pk}/edit/", typed(value="b.example", place="2"))
    assert order()[:2] == ["first.example", "b.example"]
    assert "Choose whether" in page.post(f"{LIST}{second.pk}/move/", follow=True).text


def test_a_rule_is_switched_off_and_on_and_deleted(page, alice, acme):
    rule = keep(alice, acme, "host", "a.example")
    assert whose({"host": "a.example"}) == ["Acme"]
    page.post(f"{LIST}{rule.pk}/switch/", {"do": "off"})
    assert whose({"host": "a.example"}) == [""]
    assert identities().rules == []
    page.post(f"{LIST}{rule.pk}/switch/", {"do": "on"})
    assert whose({"host": "a.example"}) == ["Acme"]
    assert "Choose whether" in page.post(f"{LIST}{rule.pk}/switch/", follow=True).text
    answer = page.post(f"{LIST}{rule.pk}/delete/", follow=True)
    assert "The rule is deleted" in answer.text
    assert "No rules yet" in answer.text
    assert list(
        AuditEvent.objects.filter(target=f"identificationrule:{rule.pk}")
        .order_by("pk")
        .values_list("action", flat=True)
    ) == ["rule.create", "rule.switch", "rule.switch", "rule.delete"]


@pytest.mark.parametrize("path", ["edit/", "move/", "switch/", "delete/"])
def test_a_rule_that_is_gone_is_not_found(page, acme, path):
    answer = page.post(f"{LIST}99999999999999999999/{path}", typed(do="up") | {"do": "on"})
    assert answer.status_code in {303, 404}
    assert (
        page.post(
            f"{LIST}9999/{path}", typed() | {"do": "on" if "sw" in path else "up"}
        ).status_code
        == 404
    )


def test_who_may_not_is_refused(alice, acme):
    rule = keep(alice, acme, "host", "a.example")
    vic = make_user("Vic", role=Role.VIEWER)
    client = Client(headers={"Sec-Fetch-Site": "same-origin"})
    client.force_login(vic)
    text = client.get(LIST).text
    assert "a.example" in text
    assert "Switch off" not in text
    assert client.get(NEW).status_code == 403
    assert client.post(f"{LIST}{rule.pk}/delete/").status_code == 403
    with pytest.raises(actions.UnableToKeepRule):
        actions.delete_rule(rule=rule.pk, user=vic, now=NOW)


def test_the_list_asks_the_database_as_often_for_many_rules(
    page, alice, acme, django_assert_max_num_queries
):
    for number in range(60):
        keep(alice, acme, "network", f"10.{number}.0.0/16")
    with django_assert_max_num_queries(6):
        assert "1–50 of 60" in page.get(LIST).text
    with django_assert_max_num_queries(6):
        page.get(LIST, {"page": 2})


# What rules make of requests


RULES = st.lists(
    st.tuples(
        st.sampled_from(["host", "network", "path_prefix", "api_key", "oauth_client", "service"]),
        st.integers(0, 2),
        st.sampled_from([10, 10, 20]),
        st.sampled_from(["Acme", "Globex"]),
        st.booleans(),
    ),
    max_size=6,
    unique_by=lambda rule: rule[:2],
)
VALUES = {
    "host": ["a.example", "*.example", "b.example"],
    "network": ["10.0.0.0/8", "10.1.0.0/16", "2001:db8::/32"],
    "path_prefix": ["/a", "/a/b", "/c"],
    "api_key": ["k1", "k2", "k3"],
    "oauth_client": ["o1", "o2", "o3"],
    "service": ["shop", "web", "pay"],
}
REQUESTS = [
    {"host": "a.example", "remote_addr": "10.1.2.3", "path": "/a/b/c", "method": "GET"},
    {"host": "c.example:443", "remote_addr": "2001:db8::7", "api_key": "k2"},
    {"oauth_client": "o1", "path": "/c", "method": "POST"},
    {"api_key": "k1", "oauth_client": "o3"},
    {"remote_addr": "10.200.0.1"},
]


@given(rules=RULES, seed=st.randoms(use_true_random=False))
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_the_order_in_which_rules_were_written_changes_nothing(acme, globex, rules, seed):
    def answers(these):
        with transaction.atomic():
            for attribute, number, position, name, enabled in these:
                IdentificationRule.objects.create(
                    customer={"Acme": acme, "Globex": globex}[name],
                    attribute=attribute,
                    value=VALUES[attribute][number],
                    position=position,
                    enabled=enabled,
                )
            found = whose(*REQUESTS)
            transaction.set_rollback(True)
        return found

    shuffled = list(rules)
    seed.shuffle(shuffled)
    assert answers(rules) == answers(shuffled)


def test_first_match_wins_across_attributes(alice, acme, globex):
    keep(alice, acme, "host", "*.example")
    keep(alice, globex, "oauth_client", "o1")
    both = {"host": "x.example", "oauth_client": "o1"}
    assert whose(both) == ["Acme"]
    actions.move_rule(
        rule=IdentificationRule.objects.get(value="o1").pk, up=True, user=alice, now=NOW
    )
    assert whose(both) == ["Globex"]


def test_a_service_is_found_by_its_slug_too(alice, acme):
    keep(alice, acme, "service", "shop-api")
    assert whose({"service": "Shop API"}, {"service": "shop-api"}, {"service": "shop"}) == [
        "Acme",
        "Acme",
        "",
    ]


@pytest.mark.parametrize(
    ("actor_from", "same"),
    [("", False), ("api_key", True), ("oauth_client", False), ("network", True)],
)
def test_a_rule_says_what_tells_people_apart(alice, acme, actor_from, same):
    """Two users with one key, or from one address, are one actor where the rule says so."""
    keep(alice, acme, "api_key", "k1", actor_from=actor_from)
    common = {"api_key": "k1", "remote_addr": "10.0.0.1", "user_agent": "okhttp/4"}
    data = b"".join(
        json.dumps(event(user=user, **common)).encode() + b"\n" for user in ("u1", "u2", "u1")
    )
    [columns] = JsonLines(FieldNames()).parse(
        Block(data), rejects=Rejects(), now_ms=int(NOW.timestamp() * 1000)
    )
    resolver = Resolver(
        key=b"k" * 32,
        registry=trial._Counting(),
        identities=identities(),
        rules=Rules(),
        service="web",
    )
    table, _ = resolver.resolve(columns)
    first, second, third = table["actor"].to_pylist()
    assert (first == second) is same
    assert first == third


def test_shadows_are_the_wider_rules_before(alice, acme):
    for attribute, value in [
        ("path_prefix", "/v2"),
        ("path_prefix", "/v2/orders"),
        ("host", "*.example.com"),
        ("host", "api.example.com"),
        ("host", "*.eu.example.com"),
        ("network", "2001:db8::/32"),
        ("network", "2001:db8:1::/48"),
        ("api_key", "v2"),
    ]:
        keep(alice, acme, attribute, value)
    ranked = queries.ranked_rules()
    found = {
        one.value: shadow.value
        for one in ranked
        if (shadow := shadows(ranked, [r.pk for r in ranked]).get(one.pk))
    }
    assert found == {
        "/v2/orders": "/v2",
        "api.example.com": "*.example.com",
        "*.eu.example.com": "*.example.com",
        "2001:db8:1::/48": "2001:db8::/32",
    }


@given(
    attribute=st.sampled_from(["host", "network", "path_prefix", "user"]),
    value=st.text(max_size=40),
)
def test_no_value_breaks_the_check_and_a_normal_one_stays(attribute, value):
    try:
        kept = normal(attribute, value)
    except BadValue:
        return
    assert normal(attribute, kept) == kept


# A trial


def test_a_trial_says_whose_by_which_rule_and_why_not(page, alice, acme, globex):
    keep(alice, acme, "host", "api.example.com")
    keep(alice, globex, "network", "2001:db8::/32")
    keep(alice, globex, "api_key", "k9", enabled=False)
    text = "\n".join(
        json.dumps(event(**one))
        for one in [
            {"host": "api.example.com", "user": "u1"},
            {"host": "www.example.com", "remote_addr": "203.0.113.9", "api_key": "k9"},
            {"customer": "A-1"},
            {"host": "api.example.com", "user_agent": "Googlebot/2.1"},
        ]
    )
    answer = page.post(TRY, {"text": text + "\nnonsense"})
    assert answer.status_code == 200
    for words in (
        "2 of 3 requests belong to a customer we can name",
        "1 line would not be taken in",
        "by rule 1, Host name <code>api.example.com</code>",
        "Told apart by a signed-in user",
        "nobody we can name",
        "the line says “www.example.com”",
        "the address 203.0.113.9 is not in it",
        "it is switched off",
        "by their id in the customer or tenant field",
        "It is a bot",
        "not valid JSON",
    ):
        assert words in answer.text, words
    for model in (Batch, HourCount, UnnamedGroups, Service, Operation):
        assert not model.objects.exists()


COMBINED = b'203.0.113.9 - - [22/Nov/2026:10:00:00 +0000] "GET /v2/x HTTP/1.1" 200 5 "-" "curl/8"\n'


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_is_tried(page, alice, acme, packed):
    keep(alice, acme, "path_prefix", "/v2/")
    data = COMBINED * 150
    file = SimpleUploadedFile("access.log", gzip.compress(data) if packed else data)
    text = page.post(TRY, {"file": file}).text
    assert "100 of 100 requests" in text
    assert "50 more lines were not tried" in text


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "There is nothing in it"),
        (b"hello", "No format fits"),
        (b"\0\1\2\3" * 50, "not text"),
        (gzip.compress(b"x" * (2 << 20), mtime=0), "more than 1 MiB"),
        (gzip.compress(COMBINED, mtime=0)[:40], "ends before its end"),
        (b"\x1f\x8b" + b"garbage" * 9, "damaged"),
        (b"x" * ((1 << 20) + 1), "larger than 1 MiB"),
        (b"[1, 2, 3]", "No format fits"),
        (b'{"a": 1}', "no field with a time"),
    ],
)
def test_garbage_is_named(page, data, words):
    answer = page.post(TRY, {"file": SimpleUploadedFile("x", data)} if data else {})
    assert answer.status_code == 422
    assert words in answer.text


def test_json_over_several_lines_is_tried(page, acme):
    pretty = json.dumps([event(customer="acme"), event()], indent=2)
    assert "1 of 2 requests" in page.post(TRY, {"text": pretty}).text


def test_a_trial_asks_the_database_as_often_for_many_lines(
    page, alice, acme, django_assert_max_num_queries
):
    keep(alice, acme, "host", "a.example")
    text = "\n".join(json.dumps(event(host="a.example", customer=f"c{n}")) for n in range(90))
    with django_assert_max_num_queries(12):
        page.post(TRY, {"text": text})


# How much is named


def deliver(*events):
    key = ApiKey.objects.filter(name="shop").first()
    key = key or ApiKey.objects.issue(name="shop", scopes=[Scope.INGEST])[0]
    body = b"".join(json.dumps(event(**one)).encode() + b"\n" for one in events)
    actions.accept_events(body=body, key=key, idempotency_key="", form="ndjson", now=timezone.now())


WHERE = "/console/identification/"


def test_without_traffic_the_next_step_is_said(page):
    assert "No traffic yet" in page.get(WHERE).text


@pytest.mark.parametrize("over", ["24h", "7d", "28d", "nonsense"])
def test_the_named_share_and_the_groups_are_shown(page, acme, over):
    deliver(
        {"customer": "acme"}, {"customer": "acme"}, {"customer": "umbrella"}, {"host": "x.example"}
    )
    text = page.get(WHERE, {"over": over}).text
    assert "50\u00a0%" in text
    assert "of 4 requests" in text
    assert "2 belong to nobody we can name" in text
    assert "umbrella" in text
    assert "/console/rules/new/?attribute=customer&amp;value=umbrella" in text
    assert "/console/rules/new/?attribute=service&amp;value=shop" in text
    assert "Stored requests keep the customer they were given" in text
    assert "Another browser" not in text
    only = page.get(WHERE, {"over": over, "by": "host"}).text
    assert "x.example" in only
    assert "umbrella" not in only


def test_everything_named_says_so(page, acme):
    deliver({"customer": "acme"})
    assert "Nothing is left unnamed" in page.get(WHERE).text


def test_the_page_asks_the_database_as_often_for_many_groups(page, django_assert_max_num_queries):
    deliver(*({"customer": f"c{n}", "service": f"s{n}"} for n in range(90)))
    with django_assert_max_num_queries(10):
        assert "Pages" in page.get(WHERE).text


def test_a_viewer_sees_no_buttons(acme):
    deliver({"customer": "umbrella"})
    client = Client()
    client.force_login(make_user("Vic", role=Role.VIEWER))
    text = client.get(WHERE).text
    assert "umbrella" in text
    assert "Make a rule" not in text


def test_the_rules_order_is_total():
    """Whichever way equal rules were written down, the list shows them alike."""
    customer = make_customer("Acme")
    seen = set()
    for these in permutations(["a", "b", "c"]):
        Customer.objects.get(pk=customer.pk).rules.all().delete()
        for value in these:
            IdentificationRule.objects.create(customer=customer, attribute="user", value=value)
        seen.add(tuple(order()))
    assert seen == {("a", "b", "c")}
