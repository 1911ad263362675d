"""Making, editing and archiving customers, their contacts, and the import, as people do it."""

import os
import signal
import time
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import AuditEvent, Role
from apps.customers import actions, jobs
from apps.customers.models import Contact, Customer, CustomerImport, CustomerJourney
from tests.customers.test_import import crowd
from tests.factories import NOW, make_contact, make_customer, make_user
from tests.outreach.world import make_world

pytestmark = pytest.mark.django_db
LINES = {"journey-TOTAL_FORMS": 2, "journey-INITIAL_FORMS": 0}
ACME = {
    "name": "Acme", "kind": "business", "external_id": "a-1", "tags": "Gold, eu", "end_users": "shoppers",
    "end_users_count": "1200", "bears_outage": "ten minutes", "bears_outage_minutes": "10",
    "bears_error_share": "0.1 %", "time_zone": "Europe/Berlin", "language": "de", **LINES,
    "journey-0-journey": "checkout", "journey-0-value": "49.9", "journey-0-currency": "eur",
}  # fmt: skip


def page(name, *args):
    return reverse(f"customers:{name}", args=args)


@pytest.fixture
def ben(client):
    ben = make_user("Ben", role=Role.LIAISON)
    client.force_login(ben)
    return ben


def test_a_customer_is_made_and_shown(client, ben):
    answer = client.post(page("new"), ACME, follow=True)

    assert answer.redirect_chain == [(page("profile", "acme"), 303)]
    for words in ("They can bear an outage of up to 10 minutes.", "ten minutes",
                  "errors on up to 0.1 % of requests", "1,200 of them", "49.90 EUR each",
                  "gold", "Europe/Berlin"):  # fmt: skip
        assert words in answer.text, words
    event = AuditEvent.objects.get(action="customer.create")
    assert event.user == ben
    assert event.after["journeys"] == ["checkout 49.90 EUR"]


def test_the_form_comes_back_as_it_is_kept_and_saves_nothing_new(client, ben):
    client.post(page("new"), ACME)
    form = client.get(page("edit", "acme")).context["form"]

    shown = {name: form[name].value() for name in ("tags", "bears_error_share", "end_users_count")}
    assert shown == {"tags": "eu, gold", "bears_error_share": "0.1 %", "end_users_count": 1200}
    before = AuditEvent.objects.count()
    assert client.post(page("edit", "acme"), ACME).status_code == 303
    assert AuditEvent.objects.count() == before
    client.post(page("edit", "acme"), ACME | {"bears_outage_minutes": "5"})
    event = AuditEvent.objects.get(action="customer.edit")
    assert (event.before, event.after) == (
        {"bears_outage_minutes": 10},
        {"bears_outage_minutes": 5},
    )


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"name": ""}, "Give the customer a name"),
        ({"kind": "robots"}, "valid choice"),
        ({"external_id": "taken"}, "Another customer has this id"),
        ({"parent": "nobody"}, "No customer has this id or name"),
        ({"parent": "twins"}, "Several customers have this name"),
        ({"bears_error_share": "101 %"}, "no number from 0 to 100"),
        ({"bears_outage_minutes": "-1"}, "greater than or equal to 0"),
        ({"bears_loss_count": "9" * 30}, "less than or equal to"),
        ({"end_users_count": "9" * 30}, "less than or equal to"),
        ({"time_zone": "Mars"}, "Europe/Berlin"),
        ({"language": "english!"}, "pt-BR"),
        ({"tags": "x" * 60}, "50 characters"),
        ({"journey-0-currency": ""}, "needs its currency"),
        ({"journey-0-journey": ""}, "Say which journey"),
        ({"journey-1-journey": "checkout"}, "is there twice"),
        ({"notes": "a\0b"}, "Null characters"),
        ({"journey-TOTAL_FORMS": "x"}, "ManagementForm"),
    ],
)
def test_what_is_wrong_is_said(client, ben, wrong, words):
    make_customer("Taken", external_id="taken")
    make_customer("Twins", slug="t1")
    make_customer("Twins", slug="t2")

    answer = client.post(page("new"), ACME | wrong)

    assert answer.status_code == 422
    assert words in answer.text
    assert Customer.objects.count() == 3


def test_what_is_wrong_is_listed_on_top_with_links(client, ben):
    answer = client.post(page("new"), ACME | {"name": "", "bears_error_share": "x"})

    assert answer.context["form"].wrong()[0] == ("id_name", "Who they are: Name")
    for link in (
        'href="#id_name"',
        'href="#id_bears_error_share"',
        '<details class="disclosure" open>',
    ):
        assert link in answer.text, link
    assert '<details class="disclosure">' in client.get(page("new")).text


def test_accounts_are_shown_both_ways(client, ben):
    group = make_customer("Group")
    make_customer("Part", parent=group)

    assert page("profile", "group") in client.get(page("profile", "part")).text
    answer = client.get(page("profile", "group")).text
    assert page("profile", "part") in answer
    assert "told on their own pages" in answer
    amy = make_user("Amy", role=Role.ACCOUNT_MANAGER)
    Customer.objects.filter(slug="part").update(account_manager=amy)
    client.force_login(amy)
    assert f'href="{page("profile", "group")}"' not in client.get(page("profile", "part")).text


def test_a_profile_with_many_contacts_shows_some_and_asks_no_more(
    client, ben, django_assert_max_num_queries
):
    acme = make_customer("Acme")
    Contact.objects.bulk_create(
        Contact(customer=acme, name=f"محمد 山田 {n:03}", email=f"c{n}@acme.example")
        for n in range(500)
    )

    with django_assert_max_num_queries(15):
        answer = client.get(page("profile", "acme"), {"page": 3})

    assert "41–60 of 500 contacts" in answer.text
    assert "c40@acme.example" in answer.text
    assert "c60@acme.example" not in answer.text


def test_nobody_is_part_of_what_is_part_of_them(client, ben):
    top = make_customer("Top", external_id="top")
    make_customer("Below", external_id="below", parent=top)
    given = {"name": "Top", "kind": "business", "external_id": "top", **LINES}

    assert "part of itself" in client.post(page("edit", "top"), given | {"parent": "top"}).text
    assert "part of itself" in client.post(page("edit", "top"), given | {"parent": "Below"}).text
    top.refresh_from_db()
    assert top.parent is None


def test_names_that_make_no_address_or_one_that_is_taken(client, ben):
    for name in ("New", "Import", "日本", "Acme", "Acme"):
        answer = client.post(page("new"), {"name": name, "kind": "business", **LINES})
        assert answer.status_code == 303

    assert set(Customer.objects.values_list("slug", flat=True)) == {
        "new-2", "import-2", "customer", "acme", "acme-2"
    }  # fmt: skip


def test_an_account_manager_edits_their_own_and_not_who_looks_after_them(client):
    amy = make_user("Amy", role=Role.ACCOUNT_MANAGER)
    acme = make_customer("Acme", external_id="a", account_manager=amy)
    make_customer("Globex")
    client.force_login(amy)

    assert client.get(page("edit", "globex")).status_code == 404
    assert client.get(page("new")).status_code == 403
    answer = client.post(page("edit", "acme"), ACME | {"name": "Acme Ltd", "kind": "consumers"})
    assert answer.status_code == 303
    acme.refresh_from_db()
    assert (acme.name, acme.kind, acme.external_id) == ("Acme Ltd", "business", "a")
    assert acme.account_manager == amy
    with pytest.raises(actions.UnableToSave):
        actions.archive_customer(customer=acme, archived=True, user=amy, now=NOW)


def test_archiving_and_back(client, ben):
    make_customer("Acme")
    listing = page("list")

    client.post(page("archive", "acme"), {"do": "archive"})
    assert [one.name for one in client.get(listing).context["page"]] == []
    assert [one.name for one in client.get(listing, {"archived": "only"}).context["page"]] == [
        "Acme"
    ]
    assert "Take Acme back" in client.get(page("profile", "acme")).text
    client.post(page("archive", "acme"), {"do": "take-back"})
    assert [one.name for one in client.get(listing).context["page"]] == ["Acme"]
    assert AuditEvent.objects.filter(action__startswith="customer.").count() == 2


def test_filters_and_order(client, ben):
    amy = make_user("Amy", role=Role.ACCOUNT_MANAGER)
    group = make_customer("Group", tags=["gold"])
    make_customer("Acme", parent=group, kind="internal", account_manager=amy)
    make_customer("Zed", kind="consumers")

    def names(**query):
        return [one.name for one in client.get(page("list"), query).context["page"]]

    assert names(tag="gold") == ["Group"]
    assert names(parent="group") == ["Acme"]
    assert names(sort="-name") == ["Zed", "Group", "Acme"]
    assert names(sort="kind") == ["Group", "Zed", "Acme"]
    assert names(sort="manager") == ["Acme", "Group", "Zed"]
    assert names(sort="nonsense", tag="nonsense", parent="no such!") == ["Acme", "Group", "Zed"]


def test_contacts_are_added_changed_and_removed(client, ben):
    acme = make_customer("Acme")
    jo = {
        "name": "Jo",
        "email": "jo@acme.example",
        "purpose": "billing",
        "time_zone": "UTC",
        "language": "en",
    }

    assert client.post(page("contact_new", "acme"), jo).status_code == 303
    twice = client.post(page("contact_new", "acme"), jo | {"email": "JO@acme.example"})
    assert (twice.status_code, "already has a contact" in twice.text) == (422, True)
    found = acme.contacts.get()
    client.post(page("contact", "acme", found.pk), jo | {"do_not_contact": "on"})
    found.refresh_from_db()
    assert found.do_not_contact
    assert AuditEvent.objects.get(action="contact.edit").before == {"do_not_contact": False}
    client.post(page("contact_remove", "acme", found.pk))
    assert not Contact.objects.exists()


def test_who_got_mail_is_kept_and_gets_no_more(client):
    world = make_world()
    world.approved()
    client.force_login(world.amy)

    answer = client.post(page("contact_remove", "acme", world.bob.pk), follow=True)

    world.bob.refresh_from_db()
    assert world.bob.do_not_contact
    assert "stays in the record" in answer.text


def test_another_address_is_not_the_sign_in_of_who_was_there(client, ben):
    acme = make_customer("Acme")
    bob = make_contact(acme, "Bob", user=make_user("Bob", role=Role.CUSTOMER))

    client.post(
        page("contact", "acme", bob.pk),
        {"name": "Eve", "email": "eve@x.example", "purpose": "billing"},
    )

    bob.refresh_from_db()
    assert (bob.name, bob.user) == ("Eve", None)
    assert client.get(page("contact", "acme", 10**18)).status_code == 404


def upload(client, text, name="c.csv"):
    file = SimpleUploadedFile(name, text if isinstance(text, bytes) else text.encode())
    return client.post(page("import"), {"file": file}, follow=True)


def test_a_file_is_read_shown_and_applied(client, ben):
    seen = upload(client, "external_id,name,kind\n1,One,business\n2,,business\n")

    assert "Apply 1 line<" in seen.text
    assert "A new customer needs a name" in seen.text
    assert not Customer.objects.exists()
    found = CustomerImport.objects.get()
    done = client.post(page("import_apply", found.pk), follow=True)
    assert "Applied" in done.text
    assert reverse("rules:identification") in done.text  # the next step
    assert Customer.objects.get().external_id == "1"
    found.refresh_from_db()
    assert found.content is None
    assert "already" in client.post(page("import_apply", found.pk), follow=True).text
    again = upload(client, "external_id,name,kind\n1,One,business\n")
    assert "nothing to apply" in again.text


def test_a_large_file_waits_for_the_worker(client, ben, monkeypatch):
    monkeypatch.setattr(jobs, "SMALL", 10)
    text, named = crowd(60, bad_every=100)

    assert "Waiting to be read" in upload(client, text).text
    assert jobs.run_next(clock=timezone.now)
    found = CustomerImport.objects.get()
    assert found.counts == {"new": 420, "changed": 0, "same": 0, "bad": len(named)}
    client.post(page("import_apply", found.pk))
    assert Customer.objects.count() == 0
    assert jobs.run_next(clock=timezone.now)
    assert not jobs.run_next(clock=timezone.now)
    assert Customer.objects.count() == 60
    assert found.lines.filter(outcome="bad").count() == len(named)


def test_a_worker_that_died_is_relieved_and_then_given_up(client, ben):
    found = actions.begin_import(name="x", content=b"external_id\n", user=ben, now=NOW)
    row = CustomerImport.objects.filter(pk=found.pk)
    row.update(state="applying", lease_until=NOW, tries=1)

    jobs.sweep(now=timezone.now())
    assert row.get().state == "confirmed"
    row.update(state="applying", lease_until=NOW, tries=3)
    jobs.sweep(now=timezone.now())
    assert row.get().state == "failed"


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_is_killed_half_way_leaves_nothing_and_another_does_it(client):
    ben = make_user("Ben", role=Role.LIAISON)
    client.force_login(ben)
    text, named = crowd(3_000, bad_every=100)
    found = actions.begin_import(name="x", content=text.encode(), user=ben, now=timezone.now())
    assert jobs.run_next(clock=timezone.now)
    actions.confirm_import(found=found, user=ben, now=timezone.now())
    row = CustomerImport.objects.filter(pk=found.pk)

    if (pid := os.fork()) == 0:  # a worker, with connections of its own
        connection.connect()
        jobs.run_next(clock=timezone.now)
        os._exit(0)
    while row.get().progress < 10:  # told by its second connection, while nothing is committed
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    assert os.waitpid(pid, 0)[1] == signal.SIGKILL

    assert row.get().state == "applying"
    assert (
        row.get().lease_until
        <= timezone.now() + jobs.LEASE
        <= timezone.now() + timedelta(minutes=1)
    )
    assert f'value="{row.get().progress}"' in client.get(page("import_report", found.pk)).text
    assert Customer.objects.count() == Contact.objects.count() == 0
    jobs.sweep(now=timezone.now() + jobs.LEASE)
    assert jobs.run_next(clock=timezone.now)
    assert (Customer.objects.count(), Contact.objects.count()) == (3_000, 15_000)
    assert found.lines.filter(outcome="bad").count() == len(named)


def test_many_bad_lines_are_paged_filtered_and_taken_along(client, ben):
    lines = "".join(f"{n},,business\n{n}b,=cmd,robots\n" for n in range(350))
    answer = upload(client, f"external_id,name,kind\n{lines}")
    report = page("import_report", CustomerImport.objects.get().pk)

    assert answer.context["page"].paginator.count == 700
    assert client.get(f"{report}?show=bad&column=kind").context["page"].paginator.count == 350
    assert client.get(f"{report}?show=bad&column=nope").context["page"].paginator.count == 700
    file = b"".join(client.get(f"{report}bad-lines.csv")).decode()
    assert file.count("\r\n") == 701
    assert file.splitlines()[2].startswith("3,customer,0b,kind,")


@pytest.mark.parametrize(
    "raw", [b"PK\x03\x04", b"\xff\xfe", b"a,b\n", b"\0\0\0", b"external_id\n" * 3]
)
def test_no_file_breaks_it(client, ben, raw):
    assert upload(client, raw).status_code == 200
    assert client.post(page("import"), {"file": "text"}).status_code == 422
    assert client.post(page("import")).status_code == 422


def test_the_export_is_a_file_that_changes_nothing(client, ben):
    acme = make_customer("=Acme", slug="acme", external_id="a")
    make_contact(acme, "Jo")
    CustomerJourney.objects.create(customer=acme, journey="buy")

    raw = b"".join(client.get(page("export")).streaming_content)

    assert b"'=Acme" in raw
    assert "nothing to apply" in upload(client, raw).text


def test_pages_ask_as_much_of_many_as_of_few(client, ben, django_assert_max_num_queries):
    group = make_customer("Group", tags=["t"])

    def grow(first, last):
        for number in range(first, last):
            one = make_customer(f"C{number}", parent=group, tags=[f"t{number}"])
            make_contact(one if number % 2 else group, f"Jo {number}")
            CustomerJourney.objects.create(customer=group, journey=f"j{number}")

    def queries():
        from django.db import connection
        from django.test.utils import CaptureQueriesContext

        counted = []
        for path in (page("list"), page("profile", "group"), page("edit", "group")):
            with CaptureQueriesContext(
                connection,
            ) as found:
                assert client.get(path).status_code == 200
            counted.append(len(found))
        return counted

    grow(0, 2)
    few = queries()
    grow(2, 15)

    assert queries() == few
    assert max(few) <= 30
