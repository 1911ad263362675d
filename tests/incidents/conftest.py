"""Who is signed in, and an incident that began 20 minutes ago."""

from datetime import timedelta

import pytest
from django.utils import timezone

from tests.factories import make_user
from tests.incidents.world import declared


@pytest.fixture
def now():
    return timezone.now()


@pytest.fixture
def alice():
    return make_user()


@pytest.fixture
def incident(alice, now):
    return declared(alice, started_at=now - timedelta(minutes=20), now=now)


@pytest.fixture
def signed_in(client, alice):
    client.force_login(alice)
    return client
