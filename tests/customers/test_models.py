"""What the database itself refuses of customers."""

from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction

from apps.customers.models import Customer, CustomerJourney, Kind
from tests.factories import make_customer

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("share", ["-0.000001", "1.000001", "9"])
def test_a_share_outside_0_to_1_is_refused(share):
    with pytest.raises(IntegrityError, match="customer_error_share"):
        make_customer("Acme", bears_error_share=Decimal(share))


@pytest.mark.parametrize("share", [None, "0", "0.000001", "0.01", "1"])
def test_a_share_between_0_and_1_is_kept_exactly(share):
    share = share and Decimal(share)

    acme = make_customer("Acme", bears_error_share=share)

    acme.refresh_from_db()
    assert acme.bears_error_share == share


@pytest.mark.parametrize(
    "field", ["end_users_count", "bears_outage_minutes", "bears_delay_seconds", "bears_loss_count"]
)
def test_a_number_below_nothing_is_refused(field):
    with pytest.raises(IntegrityError, match=field):
        make_customer("Acme", **{field: -1})


def test_nobody_is_part_of_themselves():
    acme = make_customer("Acme")

    with pytest.raises(IntegrityError, match="customer_not_own_parent"):
        Customer.objects.filter(pk=acme.pk).update(parent=acme)


def test_the_database_refuses_a_circle_of_parents():
    top, middle, low = (make_customer(name) for name in ("Top", "Middle", "Low"))
    Customer.objects.filter(pk=middle.pk).update(parent=top)
    Customer.objects.filter(pk=low.pk).update(parent=middle)
    check_now()

    @transaction.atomic
    def close_the_circle():
        Customer.objects.filter(pk=top.pk).update(parent=low)
        check_now()

    with pytest.raises(IntegrityError, match="part of itself"):
        close_the_circle()


def test_within_one_transaction_parents_may_be_turned_round():
    top, low = make_customer("Top"), make_customer("Low")
    Customer.objects.filter(pk=low.pk).update(parent=top)
    Customer.objects.filter(pk=top.pk).update(parent=low)
    Customer.objects.filter(pk=low.pk).update(parent=None)
    check_now()


def check_now():
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


@pytest.mark.parametrize("currency", ["", "eur", "EU", "€€€", "E R"])
def test_a_value_without_a_currency_is_refused(currency):
    acme = make_customer("Acme")
    row = CustomerJourney(customer=acme, journey="checkout", value=Decimal(12), currency=currency)

    with pytest.raises(ValidationError, match="three capitals"):
        row.validate_constraints()
    with pytest.raises(IntegrityError, match="customer_journey_currency"):
        row.save()


def test_a_journey_may_matter_without_a_value_and_once():
    acme = make_customer("Acme")
    CustomerJourney.objects.create(customer=acme, journey="checkout")
    CustomerJourney.objects.create(
        customer=acme, journey="refund", value=Decimal("12.50"), currency="EUR"
    )

    with pytest.raises(IntegrityError, match="journey_once"), transaction.atomic():
        CustomerJourney.objects.create(customer=acme, journey="checkout")
    with pytest.raises(IntegrityError, match="journey_value"), transaction.atomic():
        CustomerJourney.objects.create(
            customer=acme, journey="return", value=Decimal(-1), currency="EUR"
        )


def test_a_new_customer_has_no_tags_and_bears_what_nobody_asked():
    acme = Customer.objects.create(name="Acme", slug="acme", kind=Kind.BUSINESS)

    acme.refresh_from_db()
    assert acme.tags == []
    assert acme.archived_at is None
    assert acme.bears_outage_minutes is None
