"""What people say of what we run."""

from typing import TYPE_CHECKING, Any

from django import forms

from apps.catalog import patterns
from apps.catalog.actions import MOST_STEPS
from apps.catalog.models import Operation, Service

if TYPE_CHECKING:
    _OperationField = forms.ModelChoiceField[Operation]
    _ServiceField = forms.ModelChoiceField[Service]
else:
    _OperationField = _ServiceField = forms.ModelChoiceField


class ServiceForm(forms.Form):
    """A service."""

    name = forms.CharField(max_length=200, label="Name", help_text="As customers know it.")
    slug = forms.SlugField(
        max_length=100,
        required=False,
        label="Short name",
        help_text="Stands in addresses and in telemetry. Left empty, it is made of the name; it stays.",
    )
    description = forms.CharField(
        max_length=2_000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        label="What it does",
    )
    public = forms.BooleanField(required=False, label="The public status page names it")

    def __init__(self, *args: Any, new: bool, **options: Any) -> None:
        super().__init__(*args, **options)
        if not new:
            del self.fields["slug"]


class OperationForm(forms.Form):
    """What an operation is."""

    changes_state = forms.BooleanField(
        required=False,
        label="It changes something",
        help_text="An order, a booking, a message: to lose one is worse than to lose a look.",
    )
    slow_after_ms = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=3_600_000,
        label="Slow after, in milliseconds",
        help_text="The slowest answer that still counts as in time. Empty: no answer is too slow.",
    )


METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "QUERY")


class PatternForm(forms.Form):
    """A route pattern."""

    method = forms.ChoiceField(choices=[(one, one) for one in METHODS], label="Method")
    pattern = forms.CharField(
        max_length=patterns.LONGEST,
        label="Pattern",
        help_text="A path with {id} for each whole part that varies, as in /orders/{id}/items. "
        "You may call it otherwise, such as {order}.",
    )

    def clean_pattern(self) -> str:
        """Return the pattern, tidied."""
        try:
            return patterns.checked(str(self.cleaned_data["pattern"]))
        except patterns.InvalidPattern as problem:
            raise forms.ValidationError(str(problem)) from problem


class JourneyForm(forms.Form):
    """A journey and its steps."""

    name = forms.CharField(max_length=200, label="Name", help_text="Such as “Purchase”.")
    verb = forms.CharField(
        max_length=100,
        required=False,
        label="People tried to …",
        help_text="As the story says it: “place an order”.",
    )
    noun = forms.CharField(
        max_length=100,
        required=False,
        label="What comes of it, in the plural",
        help_text="As in mail to customers: “orders”.",
    )
    value = forms.DecimalField(
        required=False,
        min_value=0,
        max_digits=12,
        decimal_places=2,
        label="What one is worth",
        help_text="Empty: what an outage put at risk is not counted in money.",
    )
    currency = forms.RegexField(
        r"^[A-Z]{3}$",
        required=False,
        label="Currency",
        help_text="Three capital letters, such as EUR.",
        error_messages={"invalid": "Write three capital letters, such as EUR."},
    )

    def __init__(self, *args: Any, service: Service, steps: list[int], **options: Any) -> None:
        super().__init__(*args, **options)
        choices = service.operations.filter(merged_into=None).order_by("name", "pk")
        for place in range(min(max(len(steps) + 2, 4), MOST_STEPS)):
            self.fields[f"step_{place}"] = _OperationField(
                choices,
                required=False,
                label="First step" if place == 0 else "then",
                initial=steps[place] if place < len(steps) else None,
                empty_label="nothing",
            )

    def steps(self) -> list[Operation]:
        """Return the operations in their order; the last counts as done."""
        names = [name for name in self.fields if name.startswith("step_")]
        return [self.cleaned_data[name] for name in names if self.cleaned_data.get(name)]


class DependencyForm(forms.Form):
    """What a service stands on."""

    on = _ServiceField(
        Service.objects.none(), required=False, label="One of our services", empty_label="None"
    )
    supplier = forms.CharField(max_length=200, required=False, label="or a supplier")

    def __init__(self, *args: Any, service: Service, **options: Any) -> None:
        super().__init__(*args, **options)
        field = self.fields["on"]
        assert isinstance(field, forms.ModelChoiceField)  # noqa: S101  (for the type)
        field.queryset = Service.objects.exclude(pk=service.pk).order_by("name", "pk")
