"""From a group of requests that nobody could name to a customer and the rule that names them."""

import pytest
from django.urls import reverse

from apps.accounts.models import Role
from apps.customers.models import Customer, IdentificationRule
from tests.factories import make_user

pytestmark = pytest.mark.django_db


def test_the_way_from_unnamed_requests_to_a_rule(client):
    client.force_login(make_user("Ada", role=Role.ADMIN))
    address = reverse("customers:new") + "?name=acme.example&attribute=host&value=acme.example"
    page = client.get(address)
    assert 'value="acme.example"' in page.text
    made = client.post(
        address,
        {
            **{name: value or "" for name, value in page.context["form"].initial.items()},
            "name": "Acme",
            "kind": "business",
            "language": "en",
            "time_zone": "UTC",
            "journey-TOTAL_FORMS": "0",
            "journey-INITIAL_FORMS": "0",
        },
    )
    acme = Customer.objects.get(name="Acme")
    assert made.status_code == 303
    assert made["Location"].startswith(reverse("rules:new"))
    form = client.get(made["Location"]).context["form"]
    wanted = {name: form[name].value() or "" for name in form.fields}
    assert client.post(reverse("rules:new"), wanted).status_code in {302, 303}
    rule = IdentificationRule.objects.get()
    assert (rule.customer, rule.attribute, rule.value) == (acme, "host", "acme.example")
