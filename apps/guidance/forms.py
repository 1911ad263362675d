"""What people type about advice."""

from typing import Any

from django import forms

from apps.customers.models import Kind
from apps.guidance.codes import MAX_WAIT_S, is_well_formed


class AdviceForm(forms.Form):
    """The words of one advice and its wait."""

    title = forms.CharField(
        max_length=200, label="Heading", help_text="What went wrong, in their words."
    )
    what_happened = forms.CharField(
        max_length=2000, label="What happened", widget=forms.Textarea(attrs={"rows": 3})
    )
    what_to_do = forms.CharField(
        max_length=2000, label="What to do", widget=forms.Textarea(attrs={"rows": 4})
    )
    tell_your_customers = forms.CharField(
        max_length=2000,
        required=False,
        label="What to tell their own customers",
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    retry_from_s = forms.IntegerField(
        min_value=1,
        max_value=MAX_WAIT_S,
        required=False,
        label="Try again after, at the earliest (seconds)",
        help_text="Each person is given a random second between the two, so that they do not all come"
        " back at once. Leave both empty when trying again does not help.",
    )
    retry_to_s = forms.IntegerField(
        min_value=1, max_value=MAX_WAIT_S, required=False, label="At the latest (seconds)"
    )

    def clean(self) -> dict[str, Any]:
        """Refuse half a wait, and one that ends before it begins."""
        data: dict[str, Any] = super().clean() or {}
        if "retry_from_s" in self.errors or "retry_to_s" in self.errors:
            return data
        first, last = data.get("retry_from_s"), data.get("retry_to_s")
        if (first is None) != (last is None):
            self.add_error("retry_to_s", "Give both ends of the wait, or neither.")
        elif first is not None and last is not None and last < first:
            self.add_error("retry_to_s", "The latest must not be before the earliest.")
        return data


class CodeForm(forms.Form):
    """Which code, for whom."""

    code = forms.CharField(
        max_length=60,
        label="Error code",
        help_text="An HTTP status such as 502, all of them as 5xx, or a code of your application.",
    )
    kind = forms.ChoiceField(
        choices=[("", "Anyone"), *Kind.choices], required=False, label="For which customers"
    )

    def clean_code(self) -> str:
        """Refuse what cannot be a code."""
        code: str = self.cleaned_data["code"]
        if not is_well_formed(code):
            raise forms.ValidationError("Use letters, digits, hyphens and underscores.")
        return code
