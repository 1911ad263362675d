"""The page of gaps: what is listed and who takes it on."""

import pytest
from django.urls import reverse

from apps.accounts.models import Role
from apps.impact.models import Gap
from tests.factories import make_service, make_snapshot, make_user
from tests.incidents.world import MARKUP

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("rows", [1, 20])
def test_gaps_are_listed_and_taken_on(signed_in, alice, rows, django_assert_num_queries):
    snapshot = make_snapshot()
    gaps = [
        Gap.objects.create(
            code=f"code-{n}",
            question=f"How many {n}?",
            why="nothing tells",
            closes_by=MARKUP,
            service=make_service(f"Service {n}"),
            first_snapshot=snapshot,
            latest_snapshot=snapshot,
            opened_at=snapshot.created_at,
        )
        for n in range(rows)
    ]
    with django_assert_num_queries(4):
        text = signed_in.get(reverse("impact:gaps")).content.decode()
    assert "How many 0?" in text
    assert MARKUP not in text
    address = reverse("impact:assign", args=[gaps[0].pk])
    assert signed_in.post(address, {"to": "me"}).status_code == 303
    assert Gap.objects.get(pk=gaps[0].pk).owner == alice
    signed_in.post(address, {"to": "nobody"})
    assert Gap.objects.get(pk=gaps[0].pk).owner is None


def test_a_closed_gap_is_not_taken_on(signed_in, client):
    snapshot = make_snapshot()
    gap = Gap.objects.create(
        code="actor",
        question="How many?",
        why="w",
        first_snapshot=snapshot,
        latest_snapshot=snapshot,
        opened_at=snapshot.created_at,
        closed_at=snapshot.created_at,
    )
    address = reverse("impact:assign", args=[gap.pk])
    assert "has closed" in signed_in.post(address, follow=True).content.decode()
    assert "No open gaps" in signed_in.get(reverse("impact:gaps")).content.decode()
    assert signed_in.post(reverse("impact:assign", args=[10**12])).status_code == 404
    client.force_login(make_user("Vera", role=Role.VIEWER))
    assert client.post(address).status_code == 403


def test_no_gaps_before_the_first_computation_is_no_praise(signed_in, client):
    text = signed_in.get(reverse("impact:gaps")).content.decode()
    assert "Nothing asked yet" in text
    assert reverse("rules:identification") in text
    client.force_login(make_user("Max", role=Role.ACCOUNT_MANAGER))
    text = client.get(reverse("impact:gaps")).content.decode()
    assert "Nothing asked yet" in text
    assert reverse("rules:identification") not in text
