"""Choices are drawn as Django draws them."""

import re

from django import forms
from django.forms.renderers import DjangoTemplates
from hypothesis import given
from hypothesis import strategies as st

from apps.core.rendering import FormRenderer

TEXT = st.text(max_size=12)
ATTRIBUTES = st.dictionaries(
    st.sampled_from(["id", "required", "data-x"]), st.one_of(TEXT, st.booleans()), max_size=3
)


def same(widget, value, attrs):
    ours, theirs = (
        re.sub(r"\s*\n\s*", "", widget.render("of", value, attrs, renderer=renderer))
        for renderer in (FormRenderer(), DjangoTemplates())
    )
    assert ours == theirs


@given(st.lists(st.tuples(TEXT, TEXT), max_size=5), TEXT, ATTRIBUTES)
def test_a_select_is_drawn_as_django_draws_it(choices, value, attrs):
    same(forms.Select(choices=choices), value, attrs)
    same(forms.SelectMultiple(choices=choices), [value, "&"], attrs)


def test_groups_and_what_may_break_out_of_them():
    choices = [("<g>", [("1", "<b>"), ("\"'", "&amp;")]), ("2", "two")]
    same(forms.Select(choices=choices), "1", {"id": "a'b", "autofocus": True})
