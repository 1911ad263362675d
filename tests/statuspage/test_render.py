"""What the pages say, from one reading of what is published."""

import html
import json
import re
import threading
from datetime import timedelta

import pytest
from django.db import connection

from apps.guidance.actions import save_advice
from apps.incidents.models import Incident
from apps.statuspage import jobs, pages, queries, store
from apps.statuspage.models import Render
from tests.factories import (
    NOW,
    facts_of_theirs,
    make_contact,
    make_customer,
    make_incident,
    make_service,
    make_user,
)
from tests.statuspage.world import MANY, measure, publish


def read(settings, name: str) -> str:
    return (settings.STATUS_DIR / "current" / name).read_text()


def words_of(page: str) -> str:
    page = re.sub(r"<title>.*?</title>", " ", page)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def test_the_first_lines_say_whether_it_is_known_what_to_do_and_when_we_write_next(
    rendered, settings
):
    text = words_of(read(settings, "public/index.html"))
    assert "Checkout fails for some Known since 10:05 UTC · Identified · Shop" in text
    assert "Do you need to act? If a payment failed, try once more in a minute." in text
    assert "When do you hear next? By 10:42 UTC ." in text
    assert text.index("10:42") < text.index("What we said")


def test_a_promised_word_that_did_not_come_is_owned_up_to(world, settings):
    jobs.render_pages(now=NOW + timedelta(minutes=20))
    assert "We said by 10:42 UTC , and we are late." in words_of(
        read(settings, "public/index.html")
    )


def test_a_calm_page_says_so_and_since_when(world, settings):
    publish(world.incident, "All payments work.", state="resolved", at=NOW)
    Incident.objects.filter(pk=world.incident.pk).update(ended_at=NOW - timedelta(minutes=2))
    jobs.render_pages(now=NOW + timedelta(days=1))
    text = words_of(read(settings, "public/index.html"))
    assert "Nothing is wrong that we know of. Since 22 Nov, 10:28 UTC ." in text
    assert "As of 10:30 UTC, 23 November 2026" in text
    assert "Shop Working" in text
    assert "Checkout fails for some" in text  # in the history


def test_a_customer_reads_in_their_language_and_on_their_clock(world, settings):
    mueller = make_customer("Müller", language="de", time_zone="Europe/Berlin")
    make_contact(mueller, "Uta")
    measure(world.incident, mueller, world.acme, result={**MANY, "facts": facts_of_theirs()})
    jobs.render_pages(now=NOW)

    page = read(settings, f"customers/{mueller.pk}.html")
    assert '<ol class="story" lang="de">' in page
    assert (
        "60 Ihrer 480 Anfragen schlugen am 22. November 2026 zwischen 11:04 und 11:30 Uhr"
        " (Ortszeit Berlin) fehl."
    ) in words_of(page)
    english = read(settings, f"customers/{world.acme.pk}.html")
    assert 'lang="de"' not in english
    assert "60 of your 480 requests failed between 10:04 and 10:30 UTC" in words_of(english)

    Incident.objects.filter(pk=world.incident.pk).update(ended_at=NOW)
    publish(world.incident, "It works again.", state="resolved", at=NOW)
    jobs.render_pages(now=NOW)
    assert '<p class="wide" lang="de">22 Minuten lang, von' in read(
        settings, f"customers/{mueller.pk}.html"
    )


def test_an_empty_portal_has_a_page_too(db, settings):
    jobs.render_pages(now=NOW)
    assert "We have no problem on record." in words_of(read(settings, "public/index.html"))


def test_services_are_told_in_words(world, settings):
    jobs.render_pages(now=NOW)
    assert "Search Working Shop Failing" in words_of(read(settings, "public/index.html"))
    publish(world.incident, "A fix is in.", state="monitoring", at=NOW)
    jobs.render_pages(now=NOW)
    assert "Search Working Shop Recovering" in words_of(read(settings, "public/index.html"))


def test_for_you_tells_what_of_theirs_was_hit_and_what_to_do(rendered, settings):
    text = words_of(read(settings, f"customers/{rendered.acme.pk}.html"))
    assert "For you, Acme Partly hit 60 of Acme's 480 requests failed between 10:04" in text
    assert "first try 352 85 % after retries 28 7 % gave up 32 8 % of 412 attempts" in text
    assert "What to do now Let your client wait" in text
    assert "What to tell your own customers" in text
    assert "This does not match what I see" in text
    other = words_of(read(settings, f"customers/{rendered.globex.pk}.html"))
    assert "Acme" not in other
    assert "No traffic of yours seen" in other


def test_what_is_not_measured_yet_is_said_so(world, settings):
    incident = make_incident("Search is slow", declared_by=world.alice)
    publish(incident)
    jobs.render_pages(now=NOW)
    text = words_of(read(settings, f"customers/{world.acme.pk}.html"))
    assert "Search is slow Not measured yet" in text


def test_fewer_than_five_people_are_never_broken_down(world, settings):
    few = {"people": {**MANY["people"], "retried": 4}}
    measure(world.incident, world.acme, result=few, now=NOW + timedelta(minutes=1))
    jobs.render_pages(now=NOW)
    text = words_of(read(settings, f"customers/{world.acme.pk}.html"))
    assert "Your requests 480 of which failed 60" in text
    assert "gave up" not in text


def test_history_lists_what_hit_them_before(world, settings):
    publish(world.incident, "All payments work.", state="resolved", at=NOW)
    jobs.render_pages(now=NOW)
    acme = words_of(read(settings, f"customers/{world.acme.pk}.html"))
    assert "What hit you in the last 90 days Checkout fails for some Partly hit" in acme
    globex = words_of(read(settings, f"customers/{world.globex.pk}.html"))
    assert "Nothing of yours was hit in the last 90 days." in globex


def test_internal_incidents_stand_nowhere(world, settings):
    secret = make_incident("Zebra leak", visibility="internal", declared_by=world.alice)
    publish(secret, "Zebra text", advice="Zebra advice")
    measure(secret, world.acme)
    jobs.render_pages(now=NOW)
    for path in (settings.STATUS_DIR / "current").rglob("*"):
        if path.is_file() and path.suffix != ".gz":
            assert b"Zebra" not in path.read_bytes(), path
            assert secret.reference not in path.name


def test_drafts_and_dismissed_incidents_stand_nowhere(world, settings):
    draft = make_incident("Zebra draft", declared_by=world.alice)
    gone = make_incident("Zebra alarm", declared_by=world.alice)
    publish(gone, "Zebra text")
    Incident.objects.filter(pk=gone.pk).update(state="dismissed")
    assert draft.updates.count() == 0
    jobs.render_pages(now=NOW)
    assert "Zebra" not in read(settings, "public/index.html") + read(
        settings, f"customers/{world.acme.pk}.html"
    )


def test_incidents_for_those_hit_stand_on_their_pages_alone(world, settings):
    own = make_incident("Zebra export", visibility="affected", declared_by=world.alice)
    publish(own, "Zebra text")
    measure(own, world.acme)
    measure(own, world.acme, world.globex, grade="not_hit")
    measure(own, world.acme, now=NOW + timedelta(minutes=1))
    jobs.render_pages(now=NOW)
    assert "Zebra text" in read(settings, f"customers/{world.acme.pk}.html")
    root = settings.STATUS_DIR / "current"
    others = [p for p in root.rglob("*") if p.is_file() and p.name != f"{world.acme.pk}.html"]
    assert all(b"Zebra" not in path.read_bytes() for path in others)


def test_the_state_that_is_told_is_the_published_one(world, settings):
    Incident.objects.filter(pk=world.incident.pk).update(state="resolved")
    jobs.render_pages(now=NOW)
    assert "Identified" in words_of(read(settings, "public/index.html"))


def test_stored_markup_is_inert(world, settings):
    evil = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&<!--freshness-->"
    customer = make_customer(evil[:40], slug="evil")
    make_contact(customer, "Eve", email="eve@evil.example")
    make_service(evil[:60], slug="evil")
    incident = make_incident(evil, declared_by=world.alice, cannot=evil)
    publish(incident, evil, advice=evil)
    measure(incident, customer)
    save_advice(
        by=world.alice, now=NOW, code="502", title=evil, what_happened=evil, what_to_do=evil
    )
    jobs.render_pages(now=NOW)
    for path in (settings.STATUS_DIR / "current").rglob("*.html"):
        page = path.read_text()
        assert "<script" not in page
        assert "<img" not in page
        assert page.count("<!--freshness-->") == 1
    error = json.loads(read(settings, "errors/502.json"))[""]["html"]
    assert "<script" not in error
    assert "<img" not in error


def test_page_and_json_say_the_same(rendered, settings):
    page = read(settings, "public/index.html")
    said = json.loads(read(settings, "public/index.json"))
    (incident,) = said["incidents"]
    assert said["state"] == "problem"
    words = words_of(page)
    for text in (
        incident["title"],
        incident["cannot"],
        incident["advice"],
        *(update["text"] for update in incident["updates"]),
    ):
        assert text in words
    for moment in (
        incident["known_since"],
        incident["next_update_at"],
        said["generated_at"],
        *(update["at"] for update in incident["updates"]),
    ):
        assert f'datetime="{moment}"' in page
    history = read(settings, f"public/i/{incident['reference']}.html")
    assert all(update["text"] in words_of(history) for update in incident["updates"])


def test_one_reading_gives_the_same_bytes_twice(world, settings):
    facts = queries.facts(now=NOW)
    once = {file.path: file.body for file in pages.files(facts)}
    again = {file.path: file.body for file in pages.files(queries.facts(now=NOW))}
    assert once == again


def test_pages_are_small_and_complete(rendered, settings):
    root = settings.STATUS_DIR / "current" / "public"
    assert len((root / "index.html").read_bytes()) < 30_000
    assert len((root / "status.css.gz").read_bytes()) < 8_000
    css = (root / "status.css").read_text()
    assert "@import" not in css
    assert css.count("url(") == css.count("url(#")
    for page in root.rglob("*.html"):
        assert "<script" not in page.read_text()
        assert "style=" not in page.read_text()
        assert page.with_name(f"{page.name}.gz").exists()


def test_the_number_of_queries_does_not_grow(world, django_assert_num_queries):
    def more(n: int) -> None:
        for i in range(n):
            customer = make_customer(f"C{i}{n}")
            make_contact(customer, "Dora", email=f"dora{i}{n}@x.example")
            incident = make_incident(f"I{i}{n}", declared_by=world.alice)
            publish(incident)
            publish(incident, "More.", state="monitoring")
            measure(incident, customer, world.acme)

    with django_assert_num_queries(10):
        queries.facts(now=NOW)
    more(5)
    with django_assert_num_queries(10):
        queries.facts(now=NOW)


# ---- files ---------------------------------------------------------------------------------------


def test_a_crash_in_the_middle_leaves_the_pages_before(rendered, settings, monkeypatch):
    before = read(settings, "public/index.html")
    publish(rendered.incident, "All payments work.", state="resolved", at=NOW)

    def breaks(facts, incident):
        raise MemoryError

    monkeypatch.setattr(pages, "history", breaks)
    with pytest.raises(MemoryError):
        jobs.render_pages(now=NOW + timedelta(minutes=1))
    assert read(settings, "public/index.html") == before
    monkeypatch.undo()
    jobs.render_pages(now=NOW + timedelta(minutes=1))
    assert "All payments work." in read(settings, "public/index.html")
    left = sorted(path.name for path in (settings.STATUS_DIR / "renders").iterdir())
    assert len(left) == 2
    assert all(name.isdigit() for name in left)


def test_pages_that_nobody_needs_are_gone(rendered, settings):
    reference = rendered.incident.reference
    root = settings.STATUS_DIR / "current"
    assert (root / f"public/i/{reference}.html").exists()
    Incident.objects.filter(pk=rendered.incident.pk).update(visibility="internal")
    rendered.globex.contacts.all().delete()
    jobs.render_pages(now=NOW + timedelta(minutes=1))
    assert not (root / f"public/i/{reference}.html").exists()
    assert not (root / f"customers/{rendered.globex.pk}.html").exists()


def test_what_did_not_change_is_not_written_again(rendered, settings):
    root = settings.STATUS_DIR / "current"
    customer = root / f"customers/{rendered.acme.pk}.html"
    inode, first = customer.stat().st_ino, (root / "public/index.html").stat().st_ino
    jobs.render_pages(now=NOW + timedelta(minutes=1))
    assert customer.stat().st_ino == inode
    assert (root / "public/index.html").stat().st_ino != first


def test_sequences_grow_even_when_the_clock_does_not(rendered, settings):
    first = store.read_manifest(settings.STATUS_DIR).sequence
    jobs.render_pages(now=NOW - timedelta(days=1))
    assert store.read_manifest(settings.STATUS_DIR).sequence > first


def test_customers_pages_are_for_our_own_processes(rendered, settings):
    assert (settings.STATUS_DIR / "current/customers").stat().st_mode & 0o077 == 0


# ---- when ----------------------------------------------------------------------------------------


def test_a_render_is_due_when_facts_change_or_pages_grow_old(rendered):
    assert jobs.request_if_due(now=NOW + timedelta(minutes=1)) is None
    publish(rendered.incident, "More.", state="identified", at=NOW)
    assert jobs.request_if_due(now=NOW + timedelta(minutes=1)).reason == "something was published"
    assert jobs.request_if_due(now=NOW + timedelta(minutes=1)) is None  # one waits already
    Render.objects.all().delete()
    jobs.render_pages(now=NOW + timedelta(minutes=1))
    assert jobs.request_if_due(now=NOW + timedelta(minutes=2)) is None
    assert jobs.request_if_due(now=NOW + timedelta(minutes=4)).reason == "the pages grow old"


def test_a_word_that_is_late_makes_a_render_due(world):
    jobs.render_pages(now=NOW + timedelta(minutes=11, seconds=30))
    assert jobs.request_if_due(now=NOW + timedelta(minutes=11, seconds=50)) is None
    assert jobs.request_if_due(now=NOW + timedelta(minutes=12, seconds=30)) is not None


@pytest.mark.parametrize(
    "change",
    [
        lambda w: Incident.objects.filter(pk=w.incident.pk).update(title="Other"),
        lambda w: Incident.objects.filter(pk=w.incident.pk).update(visibility="internal"),
        lambda w: measure(w.incident, w.globex, now=NOW + timedelta(minutes=1)),
        lambda w: make_contact(make_customer("Initech"), "Ina"),
        lambda w: make_service("Mail"),
        lambda w: type(w.acme).objects.filter(pk=w.acme.pk).update(name="Acme Ltd"),
        lambda w: save_advice(
            by=w.alice, now=NOW, code="502", title="t", what_happened="w", what_to_do="d"
        ),
    ],
    ids=["title", "visibility", "snapshot", "contact", "service", "name", "advice"],
)
def test_every_fact_counts(rendered, change):
    change(rendered)
    assert jobs.request_if_due(now=NOW + timedelta(minutes=1)) is not None


def test_one_render_serves_all_who_asked(world, settings):
    for _ in range(5):
        jobs.request_render(reason="test", now=NOW)
    assert jobs.run_renders(clock=lambda: NOW) == 5
    assert jobs.run_renders(clock=lambda: NOW) == 0
    assert set(Render.objects.values_list("state", "done_at")) == {("done", NOW)}
    assert len(list((settings.STATUS_DIR / "renders").iterdir())) == 1


def test_a_render_that_breaks_waits_to_be_tried_again(world, monkeypatch):
    jobs.request_render(reason="test", now=NOW)

    def breaks(facts):
        raise OSError("disk full")

    monkeypatch.setattr(pages, "files", breaks)
    with pytest.raises(OSError, match="disk full"):
        jobs.run_renders(clock=lambda: NOW)
    monkeypatch.undo()
    assert jobs.recover(now=NOW) == 1
    assert jobs.run_renders(clock=lambda: NOW) == 1


def test_a_render_whose_worker_died_is_put_back(world):
    row = jobs.request_render(reason="test", now=NOW)
    Render.objects.filter(pk=row.pk).update(
        state="rendering", lease_until=NOW + timedelta(seconds=120)
    )
    assert jobs.recover(now=NOW + timedelta(seconds=60)) == 0
    assert jobs.recover(now=NOW + timedelta(seconds=121)) == 1


@pytest.mark.django_db(transaction=True)
def test_two_workers_render_one_after_the_other(settings):
    user = make_user("Alice")
    publish(make_incident(declared_by=user))
    done: list[int] = []
    errors: list[BaseException] = []

    def work():
        try:
            jobs.request_render(reason="test", now=NOW)
            done.append(jobs.run_renders(clock=lambda: NOW))
        except BaseException as error:  # noqa: BLE001
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not errors
    assert sum(done) == 6
    assert not Render.objects.exclude(state="done").exists()
    assert "Checkout fails for some" in read(settings, "public/index.html")


@pytest.mark.django_db(transaction=True)
def test_all_is_read_at_one_instant():
    with queries.one_reading(), connection.cursor() as cursor:
        cursor.execute("SHOW transaction_isolation")
        assert cursor.fetchone() == ("repeatable read",)
        cursor.execute("SHOW transaction_read_only")
        assert cursor.fetchone() == ("on",)
