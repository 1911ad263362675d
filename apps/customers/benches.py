"""`bench customers`: a file of customers taken in, and the same file again, against bare inserts of the same rows."""

import io
import resource
import time
from collections.abc import Iterator

from django.db import connection, transaction
from django.utils import timezone

from apps.core.figures import BenchRow, Option, at_most, bench
from apps.customers import sheet
from apps.customers.applying import carry_out
from apps.customers.models import Contact, Customer, Kind
from apps.customers.planning import Plan

CUSTOMERS = Option("--customers", int, 10_000, "customers of the file", quick=200)
CONTACTS = 5  # of each
BAD_EVERY = 100  # lines
MOST_TIMES = 12  # as long as bare inserts of what was good: each line is read, compared and told of
MOST_MIB = 512  # more than before, of a worker


@bench(
    "customers",
    help="a file of customers with five contacts each, 1 % bad lines; nothing of it stays",
    options=[CUSTOMERS],
)
def customers(*, customers: int, seed: int, quick: bool) -> Iterator[BenchRow]:
    """Time bare inserts, the import, and the import again; count what became of the lines."""
    text, bad = _file(customers)
    with transaction.atomic():
        bare = _inserts(customers)
        transaction.set_rollback(True)
    name = f"bulk_create of {customers:,} customers and {customers * CONTACTS:,} contacts"
    goal = None if quick else at_most(MOST_TIMES)
    before = _peak_mib()
    with transaction.atomic():
        took, done = _take(text)
        yield BenchRow("the file", took, bare, goal, baseline_name=name)
        yield _exactly("lines named as bad", done.counts["bad"], bad)
        yield _exactly("new", done.counts["new"], customers * (1 + CONTACTS))
        took, done = _take(text)
        yield BenchRow("the same again", took, bare, goal, baseline_name=name)
        yield _exactly("changed by it", done.counts["new"] + done.counts["changed"], 0)
        transaction.set_rollback(True)
    yield BenchRow(
        "memory, above what stood", _peak_mib() - before, None, at_most(MOST_MIB), unit="MiB"
    )


def _exactly(row: str, found: int, wanted: int) -> BenchRow:
    return BenchRow(
        row, abs(found - wanted), None, at_most(0), unit="off", note=f"{found:,} of {wanted:,}"
    )


def _file(customers: int) -> tuple[bytes, int]:
    """Return a file in which each hundredth line is bad, in turn in three ways, and how many are."""
    ways = (
        "customer,,Nobody,business,",
        "contact,C0,Jo,,no address",
        "contact,nobody,Jo,,jo@example.com",
    )
    lines, bad = ["record,external_id,name,kind,email"], 0
    for n in range(customers):
        for row in (
            f"customer,C{n},Customer {n},business,",
            *(f"contact,C{n},Jo {k},,jo{k}@c{n}.example" for k in range(CONTACTS)),
        ):
            lines.append(row)
            if len(lines) % BAD_EVERY == 0:
                lines.append(ways[bad % len(ways)])
                bad += 1
    return "\n".join(lines).encode(), bad


def _inserts(customers: int) -> float:
    began = time.perf_counter()
    made = Customer.objects.bulk_create(
        [
            Customer(
                external_id=f"C{n}", name=f"Customer {n}", slug=f"bare-{n}", kind=Kind.BUSINESS
            )
            for n in range(customers)
        ],
        batch_size=1_000,
    )
    Contact.objects.bulk_create(
        [
            Contact(customer=one, name=f"Jo {k}", email=f"jo{k}@{one.slug}.example")
            for one in made
            for k in range(CONTACTS)
        ],
        batch_size=1_000,
    )
    return time.perf_counter() - began


def _take(text: bytes) -> tuple[float, Plan]:
    began = time.perf_counter()
    done = carry_out(
        lambda: sheet.read(io.BytesIO(text)), user=None, now=timezone.now(), target="bench"
    )
    took = time.perf_counter() - began
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE customers_customer, customers_contact")
    return took, done


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
