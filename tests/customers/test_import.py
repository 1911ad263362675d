"""Files of customers: read, planned, applied, and written so that they read back."""

import io
import json

import pytest
from django.core.management import call_command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.accounts.models import AuditEvent, Role
from apps.customers import exporting, sheet
from apps.customers.applying import carry_out
from apps.customers.columns import HEADER
from apps.customers.models import Contact, Customer, CustomerJourney, IdentificationRule
from apps.customers.planning import plan
from tests.factories import NOW, make_contact, make_customer, make_user

pytestmark = pytest.mark.django_db


def entries(text):
    raw = text if isinstance(text, bytes) else text.encode()
    return list(sheet.read(io.BytesIO(raw)))


def take(text):
    return carry_out(lambda: entries(text), user=None, now=NOW, target="test")


def bad(done):
    return [(line.number, line.column, line.reason) for line in done.lines if line.outcome == "bad"]


def exported():
    return "".join(sheet.write(exporting.rows(Customer.objects.all())))


def crowd(customers, *, bad_every=0):
    """A file of customers with five contacts each; each `bad_every`th line is bad, in turn in four ways."""
    lines = ["record,external_id,name,kind,email,purpose,attribute,value"]
    ways = ["customer,,Nobody,business,,,,", "contact,C0,Jo,,no address,,,", 'contact,C0,"Jo"x,,,,,',
            "rule,C0,,,,,network,nowhere"]  # fmt: skip
    named = []
    for number in range(customers):
        rows = [f"customer,C{number},Customer {number},business,,,,"]
        rows += [
            f"contact,C{number},Jo {i},,jo{i}@c{number}.example,operations,," for i in range(5)
        ]
        rows.append(f"rule,C{number},,,,,api_key,key-{number}")
        for row in rows:
            lines.append(row)
            if bad_every and len(lines) % bad_every == 0:
                lines.append(ways[len(named) % len(ways)])
                named.append(len(lines))
    return "\n".join(lines), named


def test_a_file_in_any_order_and_with_semicolons():
    amy = make_user("Amy", role=Role.ACCOUNT_MANAGER)
    text = (
        "\ufeffname;Kind;external_id;account_manager;tags;bears error share;end_users_count;notes\r\n"
        '"Acme; Ltd";Business;a-1;AMY@example.com;"Gold, eu";1 %;1200;"one\r\ntwo"\r\n'
        "Shoppers;consumers;c-1;;;;;\r\n"
    )

    done = take(text)

    assert done.counts == {"new": 2, "changed": 0, "same": 0, "bad": 0}
    acme = Customer.objects.get(external_id="a-1")
    assert (acme.name, acme.slug, acme.kind) == ("Acme; Ltd", "acme-ltd", "business")
    assert (acme.account_manager, acme.tags) == (amy, ["eu", "gold"])
    assert (str(acme.bears_error_share), acme.end_users_count) == ("0.010000", 1200)
    assert acme.notes == "one\ntwo"
    assert take(text).counts == {"new": 0, "changed": 0, "same": 2, "bad": 0}


def test_contacts_rules_journeys_and_parents_in_one_file():
    text = (
        "record,external_id,parent,name,kind,email,attribute,value,journey,currency\n"
        "contact,uk,,Jo,,jo@uk.example,,,,\n"
        "customer,uk,group,Acme UK,business,,,,,\n"
        "customer,group,,Acme,business,,,,,\n"
        "rule,uk,,,,,api_key,k-1,,\n"
        "journey,uk,,,,,,49.9,checkout,eur\n"
    )

    done = take(text)

    assert done.counts["new"] == 5, bad(done)
    uk = Customer.objects.get(external_id="uk")
    assert uk.parent.external_id == "group"
    assert [one.email for one in uk.contacts.all()] == ["jo@uk.example"]
    assert [one.value for one in uk.rules.all()] == ["k-1"]
    assert [(one.journey, str(one.value), one.currency) for one in uk.journeys.all()] == [
        ("checkout", "49.90", "EUR")
    ]
    assert take(text).counts["same"] == 5


def test_a_change_names_its_fields_and_is_in_the_audit_log():
    make_customer("Acme", external_id="a", notes="old", tags=["x"])

    done = take("external_id,notes,tags\na,,\n")

    assert done.lines[0].fields == ["tags", "notes"] or done.lines[0].fields == ["notes", "tags"]
    acme = Customer.objects.get()
    assert (acme.name, acme.notes, acme.tags) == ("Acme", "", [])
    event = AuditEvent.objects.get(action="customers.import.lines")
    assert event.before == {"customer acme": {"notes": "old", "tags": ["x"]}}


def test_bad_lines_are_named_and_good_ones_taken():
    make_customer("Taken", external_id="t", slug="taken")
    other = make_customer("Other", external_id="o")
    IdentificationRule.objects.create(customer=other, attribute="api_key", value="theirs")
    text = (
        "record,external_id,slug,name,kind,parent,account_manager,time_zone,email,attribute,value,currency,journey\n"
        "customer,1,,Good,business,,,,,,,,\n"  # 2
        "customer,2,,,business,,,,,,,,\n"  # 3 no name
        "customer,3,,Three,robots,,,,,,,,\n"  # 4 no kind
        "customer,4,,Four,business,nobody,,,,,,,\n"  # 5 parent
        "customer,5,,Five,business,,who@example.com,,,,,,\n"  # 6 manager
        "customer,6,,Six,business,,,Mars/North,,,,,\n"  # 7 zone
        "customer,1,,Again,business,,,,,,,,\n"  # 8 twice
        "customer,7,taken,Seven,business,,,,,,,,\n"  # 9 slug
        "contact,2,,Jo,,,,,jo@x.example,,,,\n"  # 10 its customer is bad
        "contact,1,,Jo,,,,,,,,,\n"  # 11 no address
        "contact,9,,Jo,,,,,jo@x.example,,,,\n"  # 12 no customer
        "rule,1,,,,,,,,network,10.0.0/99,,\n"  # 13
        "rule,1,,,,,,,,api_key,theirs,,\n"  # 14
        "journey,1,,,,,,,,,5,,buy\n"  # 15 no currency
        "robot,1,,,,,,,,,,,\n"  # 16
        "customer,8,,Eight,business,9,,,,,,,\n"  # 17 its parent is bad
        "customer,9,,Nine,business,10,,,,,,,\n"  # 18 circle
        "customer,10,,Ten,business,9,,,,,,,\n"  # 19 circle
        "customer,11,,Eleven,business,,,,,,,,,,,x\n"  # 20 cells
    )

    done = take(text)

    assert [(number, column) for number, column, _ in bad(done)] == [
        (3, "name"), (4, "kind"), (5, "parent"), (6, "account_manager"), (7, "time_zone"), (8, "external_id"),
        (9, "slug"), (10, "external_id"), (11, "email"), (12, "external_id"), (13, "value"), (14, "value"),
        (15, "currency"), (16, "record"), (17, "parent"), (18, "parent"), (19, "parent"), (20, ""),
    ]  # fmt: skip
    assert set(Customer.objects.values_list("name", flat=True)) == {"Taken", "Other", "Good"}
    assert all(line.reason and line.hint for line in done.lines if line.outcome == "bad")


def test_nobody_becomes_part_of_itself_through_what_is_stored():
    top = make_customer("Top", external_id="top")
    make_customer("Mid", external_id="mid", parent=top)

    done = take("external_id,parent\ntop,mid\nmid,\n")
    assert done.counts == {"new": 0, "changed": 2, "same": 0, "bad": 0}  # turned round at once
    again = take("external_id,parent\nmid,top\n")
    assert bad(again) == [(2, "parent", "It would be part of itself")]


def test_five_hundred_with_one_bad_line_in_a_hundred_and_again():
    text, named = crowd(500, bad_every=100)

    done = take(text)

    assert len(named) > 30
    assert [number for number, _, _ in bad(done)] == named
    assert (Customer.objects.count(), Contact.objects.count()) == (500, 2500)
    again = take(text)
    assert again.counts["new"] == again.counts["changed"] == 0
    assert [number for number, _, _ in bad(again)] == named


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"colour,external_id\n", "colour"),
        (b"name,kind\n", "which customer"),
        (b"external_id,external_id\n", "twice"),
        ("external_id\n".encode("utf-16"), "UTF-8"),
        (b"PK\x03\x04rest", "UTF-8"),
        (b"external_id,name,kind\n" + b"\n" * sheet.MOST_LINES, "lines"),
    ],
)
def test_a_file_that_cannot_be_taken_says_why(raw, words):
    with pytest.raises(sheet.UnreadableSheet) as problem:
        entries(raw)

    assert words in f"{problem.value.message} {problem.value.hint}"


def test_an_open_quote_costs_one_line():
    done = take('external_id,name,kind\n1,"Open,business\n2,Two,business\n3,T\xff,business\n')

    assert bad(done) == [(2, "", "A quote is opened and not closed")]
    assert Customer.objects.count() == 2


def test_what_is_not_utf8_costs_one_line():
    done = take(b"external_id,name,kind\n1,M\xfcller,business\n2,Two,business\n3,T\x00,business\n")

    assert [number for number, _, _ in bad(done)] == [2, 4]
    assert Customer.objects.count() == 1


CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)


@given(st.lists(st.dictionaries(st.sampled_from(HEADER), CELL, max_size=6), max_size=5))
def test_what_is_written_reads_back(rows):
    rows = [row | {"record": "customer", "external_id": "x"} for row in rows]

    found = entries("".join(sheet.write(rows)))

    kept = [{name: row.get(name, "") for name in HEADER if name != "record"} for row in rows]
    assert [entry.cells for entry in found] == kept
    for row in rows:
        for cell in row.values():
            assert not sheet.escaped(cell).startswith(("=", "+", "-", "@", "\t", "\r"))


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None
)
@given(
    st.one_of(
        st.binary(max_size=400),
        st.lists(
            st.lists(
                st.one_of(
                    CELL, st.sampled_from(["customer", "contact", "rule", "journey", "a", "b", "1", '"', "'=x"])
                ),
                max_size=len(HEADER),
            ).map(",".join),
            max_size=8,
        ).map(lambda lines: "\n".join([",".join(HEADER), *lines]).encode()),
    )
)  # fmt: skip
def test_nothing_breaks_the_reading(raw):
    try:
        done = plan(entries(raw), now=NOW)
    except sheet.UnreadableSheet:
        return
    assert all(line.outcome for line in done.lines)


def test_an_export_imports_without_a_change():
    amy = make_user("Amy", role=Role.ACCOUNT_MANAGER)
    group = make_customer("=Group", slug="group", notes="'=cmd|' /C calc'!A0\n- a\n- b")
    acme = make_customer(
        "Acme, “Ltd”", slug="acme", external_id="-1", parent=group, account_manager=amy, tags=["eu", "gold"],
        bears_error_share="0.01", bears_outage="@once", bears_outage_minutes=5, archived_at=NOW,
    )  # fmt: skip
    make_customer("Below", parent=acme, time_zone="Europe/Berlin")
    make_contact(acme, "Jo", do_not_contact=True, purpose="billing")
    IdentificationRule.objects.create(
        customer=acme, attribute="path_prefix", value="/acme", note="+"
    )
    CustomerJourney.objects.create(customer=acme, journey="buy", value="9.90", currency="EUR")

    text = exported()
    done = take(text)

    assert done.counts == {"new": 0, "changed": 0, "same": 6, "bad": 0}, bad(done)
    assert "'=Group" in text
    Customer.objects.filter(slug="below").delete()
    Customer.objects.filter(slug="acme").delete()
    Customer.objects.all().delete()
    assert take(text).counts == {"new": 6, "changed": 0, "same": 0, "bad": 0}
    assert exported() == text


def test_the_command(tmp_path, capsys):
    file = tmp_path / "customers.csv"
    file.write_text("external_id,name,kind\n1,One,business\n2,,business\n")

    call_command("customers", "import", str(file), "--dry-run")
    assert "nothing applied" in capsys.readouterr().out
    assert Customer.objects.count() == 0
    call_command("customers", "import", str(file), "--json")
    told = json.loads(capsys.readouterr().out)
    assert told["counts"] == {"new": 1, "changed": 0, "same": 0, "bad": 1}
    assert told["lines"][1]["line"] == 3
    call_command("customers", "export")
    out = capsys.readouterr().out
    assert out.count("\n") == 2
