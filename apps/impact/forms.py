"""What people type about a gap."""

from datetime import UTC, datetime, time, timedelta
from typing import Any

from django import forms

from apps.catalog.models import Service
from apps.core.fields import UtcField
from apps.impact.actions import LONGEST_ACCEPTED


class AcceptForm(forms.Form):
    """Why we can do without the answer, and until when."""

    reason = forms.CharField(
        max_length=500,
        label="Why we can do without the answer",
        error_messages={"required": "Say why we can do without the answer."},
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    until = forms.DateField(
        label="Until",
        help_text="The day on which it is asked again, UTC.",
        error_messages=dict.fromkeys(("required", "invalid"), "Give a day, such as 2026-12-24."),
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
    )

    def __init__(self, *args: Any, now: datetime, **options: Any) -> None:
        options.setdefault("initial", {"until": (now + timedelta(days=90)).date()})
        super().__init__(*args, **options)
        self.fields["until"].widget.attrs |= {
            "min": (now + timedelta(days=1)).date().isoformat(),
            "max": (now + LONGEST_ACCEPTED).date().isoformat(),
        }

    @property
    def until_at(self) -> datetime:
        """The first moment of the day given, UTC."""
        return datetime.combine(self.cleaned_data["until"], time(), UTC)


class WindowForm(forms.Form):
    """A window of time, and whose traffic."""

    window_from = UtcField(label="From (UTC)")
    window_to = UtcField(label="To (UTC)", help_text="Up to 7 days after the beginning.")
    service = forms.ModelChoiceField(
        queryset=Service.objects.none(),
        required=False,
        label="Service",
        empty_label="All of them",
        help_text="With one, its traffic alone is looked at.",
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["service"].queryset = Service.objects.order_by("name", "pk")  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """Refuse a window that ends before it begins where it stands."""
        cleaned: dict[str, Any] = super().clean() or {}
        start, end = cleaned.get("window_from"), cleaned.get("window_to")
        if start and end and end <= start:
            self.add_error("window_to", "The end must be after the beginning.")
        return cleaned
