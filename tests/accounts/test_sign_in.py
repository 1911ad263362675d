"""Signing in, and what is closed to those who have not."""

import re

import pytest
from django.urls import get_resolver, reverse

from tests.factories import PASSWORD, make_user

pytestmark = pytest.mark.django_db


def test_signs_in_by_address_whatever_its_case(client):
    make_user("Alice")

    response = client.post(
        reverse("login"), {"username": "ALICE@example.com", "password": PASSWORD}
    )

    assert response.status_code == 302


def test_a_wrong_password_is_said_so(client):
    make_user("Alice")

    response = client.post(reverse("login"), {"username": "alice@example.com", "password": "wrong"})

    assert response.status_code == 200
    assert response.context["form"].errors


def test_a_deactivated_person_cannot_sign_in(client):
    user = make_user("Alice")
    user.is_active = False
    user.save(update_fields=["is_active"])

    client.post(reverse("login"), {"username": "alice@example.com", "password": PASSWORD})

    assert "_auth_user_id" not in client.session


def addresses(patterns, prefix=""):
    for entry in patterns:
        route = prefix + str(entry.pattern)
        if hasattr(entry, "url_patterns"):
            yield from addresses(entry.url_patterns, route)
        else:
            yield route


def test_the_console_is_closed_to_strangers_and_to_customers(client):
    console = [a for a in addresses(get_resolver().url_patterns) if a.startswith("console/")]
    assert console

    for route in console:
        url = "/" + re.sub(r"<[^>]+>", "1", route)
        response = client.get(url)
        assert response.status_code in {302, 404}, url
        if response.status_code == 302:
            assert response.url.startswith("/sign-in/"), url

    client.force_login(make_user("Bob", role="customer"))
    for route in console:
        url = "/" + re.sub(r"<[^>]+>", "1", route)
        answer = client.get(url)
        assert answer.status_code in {403, 404, 405} or answer.headers.get("Location") == "/", url
