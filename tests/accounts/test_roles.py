"""What each role may do: told in words on a page, and held against what the house promises."""

import pytest
from django.urls import reverse

from apps.accounts import queries
from apps.accounts.models import PERMISSIONS
from tests.factories import make_user

pytestmark = pytest.mark.django_db


def may(role):
    return {action for action, roles in PERMISSIONS.items() if role in roles}


def test_every_permission_has_words():
    assert queries.IN_WORDS.keys() == PERMISSIONS.keys()


def test_the_roles_stand_as_they_were_meant():
    assert may("viewer") == {"console", "rule.read"}  # reads, changes nothing
    assert may("customer") == set()
    assert may("admin") == PERMISSIONS.keys()
    assert may("account_manager") == {
        "console", "outreach.edit", "outreach.approve", "customer.own",
    }  # fmt: skip
    # Publishing stands apart from editing: a liaison writes, a lead lets it out.
    assert "incident.edit" in may("liaison")
    assert "incident.publish" not in may("liaison")
    assert "incident.publish" in may("lead")
    assert "tenet.approve" not in may("liaison")
    only_admins = {"people.manage", "keys.manage", "audit.read", "settings", "events.erase"}
    assert not only_admins & (may("lead") | may("liaison") | may("viewer"))


@pytest.mark.parametrize("role", ["viewer", "lead", "liaison", "account_manager", "admin"])
def test_everybody_reads_the_table_with_their_own_role_marked(client, role):
    user = make_user("Vic", role=role)
    client.force_login(user)

    page = client.get(reverse("accounts:roles")).text

    heads = page.partition("<thead>")[2].partition("</thead>")[0].split("<th ")
    (mine,) = [head for head in heads if ">You<" in head or "You</" in head]
    assert user.get_role_display() in mine
    row = page.partition(">Publish to customers</th>")[2].partition("</tr>")[0]
    assert [">Yes<" in cell for cell in row.split("<td")[1:]] == [False, True, False, False, True]
