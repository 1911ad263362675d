"""Who looks at the catalog's pages."""

import pytest

from apps.accounts.models import Role
from tests.factories import make_user


@pytest.fixture
def ada(client):
    ada = make_user("Ada", role=Role.ADMIN)
    client.force_login(ada)
    return ada
