"""The measurable parts of a promise."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django import forms

from apps.catalog.models import Journey, Operation, Service
from apps.tenets.actions import ClauseDraft
from apps.tenets.content import SAID
from apps.tenets.forms.fitting import (
    LEFT_OUT,
    NEEDED_FOR,
    SHOWN_FOR,
    TIMES,
    begun,
    milliseconds,
    misfits,
)
from apps.tenets.models import (
    Budgeting,
    Clause,
    ClauseKind,
    Dimension,
    Operator,
    WindowUnit,
)


@dataclass(frozen=True)
class Field:
    """A field of a clause, with the kinds that it is shown for and those that need it."""

    bound: forms.BoundField
    shown_for: str
    needed_for: str


class ClauseForm(forms.Form):
    """A measurable part of the promise; a row left empty is none."""

    text = forms.CharField(
        max_length=300,
        required=False,
        label="What is measured",
        help_text="Such as “Orders that go through at the first try”.",
    )
    kind = forms.ChoiceField(choices=ClauseKind.choices, initial=ClauseKind.BUDGET, label="How")
    dimension = forms.ChoiceField(choices=Dimension.choices, initial=Dimension.ERROR, label="About")
    target = forms.DecimalField(
        required=False,
        min_value=Decimal(0),
        max_value=Decimal("99.9999"),
        max_digits=6,
        decimal_places=4,
        label="At least, in percent",
        help_text="Such as 99.9. Where a time is promised, nothing here means always.",
    )
    max_count = forms.IntegerField(
        required=False,
        min_value=0,
        max_value=2**31 - 1,
        label="At most, times",
        help_text="Nothing here means never.",
    )
    within = forms.DecimalField(
        required=False,
        min_value=Decimal("0.001"),
        max_digits=13,
        decimal_places=3,
        label="Within",
        help_text="The longest time that is still in time.",
    )
    within_unit = forms.ChoiceField(
        choices=[(name, name) for name in TIMES], initial="minutes", required=False, label="Unit"
    )
    journey = forms.ModelChoiceField(
        queryset=Journey.objects.none(),
        required=False,
        label="Of which journey",
        empty_label="All attempts",
    )
    operation = forms.ModelChoiceField(
        queryset=Operation.objects.none(), required=False, widget=forms.HiddenInput
    )
    tolerance = forms.CharField(
        max_length=300,
        required=False,
        label="What they can bear, in words",
        help_text="Such as “may be up to 15 minutes late, must arrive”.",
    )
    consequence = forms.CharField(
        max_length=500,
        required=False,
        label="What we do when it is at risk or broken",
        help_text="Such as “the account manager calls within an hour”.",
    )
    window_count = forms.IntegerField(
        min_value=1, max_value=1000, initial=28, required=False, label="Judged over"
    )
    window_unit = forms.ChoiceField(
        choices=WindowUnit.choices, initial=WindowUnit.DAY, required=False, label="Of"
    )
    window_zone = forms.CharField(
        max_length=50,
        required=False,
        label="Calendar of",
        help_text="A time zone such as Europe/Berlin makes it a calendar window; without, it rolls.",
    )
    window_start = forms.CharField(
        max_length=19,
        required=False,
        label="The calendar begins",
        help_text="Local, such as 2026-01-01 00:00:00. Mostly empty.",
    )
    min_events = forms.IntegerField(
        min_value=0,
        max_value=2**31 - 1,
        initial=20,
        required=False,
        label="Judged from so many attempts on",
    )
    budgeting = forms.ChoiceField(
        choices=Budgeting.choices, initial=Budgeting.OCCURRENCES, required=False, label="Counted"
    )
    slice_minutes = forms.IntegerField(
        required=False, min_value=1, max_value=999_999, label="Length of a slice, in minutes"
    )
    slice_target = forms.DecimalField(
        required=False,
        min_value=Decimal("0.0001"),
        max_value=Decimal(100),
        max_digits=7,
        decimal_places=4,
        label="A slice is good from, in percent",
    )
    op = forms.ChoiceField(
        choices=[("", "—"), *Operator.choices], required=False, label="Measured value"
    )
    value = forms.DecimalField(required=False, max_digits=20, decimal_places=6, label="Number")
    unit = forms.CharField(max_length=20, required=False, label="In")

    #: What every clause is asked for, by rows of the page.
    MAIN = (
        ("kind", "dimension", "journey"), ("text",), ("target", "max_count", "within", "within_unit"),
        ("tolerance", "consequence"),
    )  # fmt: skip
    #: What most clauses leave as it is.
    FINE = (
        "window_count", "window_unit", "window_zone", "window_start", "min_events", "budgeting",
        "slice_minutes", "slice_target", "op", "value", "unit",
    )  # fmt: skip

    def __init__(self, *args: Any, service: Service, **options: Any) -> None:
        super().__init__(*args, **options)
        for name, found in (
            ("journey", Journey.objects.filter(service=service).order_by("name", "pk")),
            ("operation", Operation.objects.filter(service=service, merged_into=None)),
        ):
            field = self.fields[name]
            assert isinstance(field, forms.ModelChoiceField)  # noqa: S101  (for the type)
            field.queryset = found

    def rows(self) -> Iterator[list[Field]]:
        """Yield the fields that every clause is asked for, by rows of the page."""
        for names in self.MAIN:
            yield [self._field(name) for name in names]

    def fine(self) -> list[Field]:
        """Return the fields that most clauses leave as they are."""
        return [self._field(name) for name in self.FINE]

    def _field(self, name: str) -> Field:
        every = ClauseKind.values
        return Field(
            self[name],
            " ".join(SHOWN_FOR.get(name, every)),
            " ".join(NEEDED_FOR.get(name, ())),
        )

    @property
    def summary(self) -> str:
        """What the clause says of itself, as it stands in its fields."""
        return str(self["text"].value() or "")

    @property
    def settled(self) -> bool:
        """Whether it came written, with nothing wrong: it may be folded."""
        return bool(self.initial.get("text") and self.summary) and not self.errors

    @property
    def fine_differs(self) -> bool:
        """Whether the folded fields say something out of the common, or something wrong."""
        said = self.initial.get
        return any(name in self.errors for name in self.FINE) or bool(
            said("window_zone")
            or said("op")
            or said("budgeting", Budgeting.OCCURRENCES) != Budgeting.OCCURRENCES
        )

    def clean(self) -> dict[str, Any]:
        """Ask for what the kind of clause needs."""
        data: dict[str, Any] = super().clean() or {}
        if self.errors:
            return data
        if not data.get("text"):
            if begun(data):
                self.add_error("text", "Say what is measured, or remove the clause.")
            return data
        for name in LEFT_OUT[data["kind"]]:
            data[name] = None
        for field, problem in misfits(data):
            self.add_error(field, problem)
        return data

    def draft(self) -> ClauseDraft | None:
        """Return the clause, None for a row that was left empty."""
        data = self.cleaned_data
        if not data.get("text"):
            return None
        default = ClauseDraft(text="")
        kind = data["kind"]
        plain: dict[str, Any] = {
            name: data.get(name)
            for name in ("text", "journey", "operation", "tolerance", "consequence", "value")
        } | {
            name: data.get(name) or getattr(default, name)
            for name in ("window_count", "window_unit", "window_zone", "window_start", "op", "unit")
        }
        return ClauseDraft(
            **plain,
            kind=kind,
            dimension=Dimension.COMMUNICATION if kind == ClauseKind.NOTICE else data["dimension"],
            target=_share(data.get("target")),
            max_count=data.get("max_count"),
            threshold_ms=milliseconds(data),
            budgeting=data.get("budgeting") or default.budgeting,
            slice_minutes=data.get("slice_minutes"),
            slice_target=_share(data.get("slice_target")),
            min_events=default.min_events if data.get("min_events") is None else data["min_events"],
        )

    @staticmethod
    def values_of(clause: Clause | ClauseDraft) -> dict[str, Any]:
        """Return what the fields show of a clause."""
        within, unit = _in_largest_unit(clause.threshold_ms)
        return {
            **{name: getattr(clause, name) for name in SAID if name != "threshold_ms"},
            "target": _percent(clause.target),
            "slice_target": _percent(clause.slice_target),
            "value": None if clause.value is None else f"{clause.value.normalize():f}",
            "within": within,
            "within_unit": unit,
            "journey": clause.journey and clause.journey.pk,
            "operation": clause.operation and clause.operation.pk,
        }


def _share(percent: Decimal | None) -> Decimal | None:
    return None if percent is None else percent / 100


def _percent(share: Decimal | None) -> str | None:
    return None if share is None else f"{(share * 100).normalize():f}"


def _in_largest_unit(ms: int | None) -> tuple[str | None, str]:
    if ms is None:
        return None, "minutes"
    for unit, size in reversed(TIMES.items()):
        if ms % size == 0 and ms:
            return str(ms // size), unit
    return str(ms), "milliseconds"
