"""The page of components shows all of them, in every state."""

from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

from tests.access.pages import Page
from tests.factories import make_user

pytestmark = pytest.mark.django_db

#: Where a component is that this page cannot show.
ELSEWHERE = {"sprite_public.html"}  # the icons of the public pages; the console has all


@pytest.fixture
def answer():
    client = Client()
    client.force_login(make_user())
    return client.get("/console/style/")


def test_every_component_is_shown(answer):
    folder = Path(settings.BASE_DIR, "templates/components")
    shown = {str(one.name).removeprefix("components/") for one in answer.templates}

    assert {one.name for one in folder.iterdir()} - shown == ELSEWHERE


@pytest.mark.parametrize(
    ("tag", "attribute", "value"),
    [
        ("button", "disabled", ""),
        ("button", "aria-busy", "true"),
        ("th", "aria-sort", "descending"),
        ("a", "aria-current", "page"),
        ("input", "aria-invalid", "true"),
        ("input", "disabled", ""),
        ("progress", "value", "64"),
        ("progress", "value", "100"),
        ("div", "class", "empty"),
        ("div", "role", "alert"),
        ("dialog", "id", "style-dialog"),
        ("dialog", "id", "commands"),
        ("details", "class", "confirm"),
        *[("span", "class", f"badge is-{tone}") for tone in ("fine", "slowed", "failing", "unknown", "maintenance")],
        *[("div", "class", f"notice is-{tone}") for tone in ("failing", "unknown", "maintenance")],
        *[("li", "class", f"notice is-{tone}") for tone in ("fine", "slowed", "failing", "neutral")],
        *[("li", "class", kind) for kind in ("added", "removed", "same")],
    ],
)  # fmt: skip
def test_every_state_is_shown(answer, tag, attribute, value):
    elements = Page(answer.text).elements

    assert [one for one in elements if one[0] == tag and one[1].get(attribute) == value]
