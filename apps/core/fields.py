"""Fields of forms that several apps have."""

from typing import Any

from django import forms


class UtcField(forms.DateTimeField):
    """A moment in UTC, to the second."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            input_formats=["%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M"],
            widget=forms.DateTimeInput(
                format="%Y-%m-%dT%H:%M:%S", attrs={"type": "datetime-local", "step": "1"}
            ),
            error_messages=dict.fromkeys(
                ("required", "invalid"), "Give a date and time, such as 2026-11-22 10:04."
            ),
            **options,
        )  # fmt: skip
