"""What people type about a gap."""

from datetime import UTC, datetime, time, timedelta
from typing import Any

from django import forms

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
