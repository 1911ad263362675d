"""What people type about promises."""

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.text import slugify

from apps.catalog.models import Journey, Service
from apps.customers.models import Kind
from apps.tenets.actions import ClauseDraft
from apps.tenets.models import Clause, ClauseKind, Dimension, Tenet, TenetVersion

MOST_CLAUSES = 8


class TenetForm(forms.Form):
    """About what, and to whom."""

    name = forms.CharField(
        max_length=100, label="Name", help_text="Such as “Orders of businesses”."
    )
    service = forms.ModelChoiceField(queryset=Service.objects.none(), label="Service")
    kind = forms.ChoiceField(choices=Kind.choices, label="Promised to")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        field = self.fields["service"]
        assert isinstance(field, forms.ModelChoiceField)  # noqa: S101  (for the type)
        field.queryset = Service.objects.filter(proposed=False).order_by("name", "pk")

    def clean_name(self) -> str:
        """Refuse a name that makes no address, or one that is taken."""
        name: str = self.cleaned_data["name"]
        slug = slugify(name)
        if not slug:
            raise forms.ValidationError("Use some letters of the Latin alphabet in the name.")
        if Tenet.objects.filter(slug=slug).exists():
            raise forms.ValidationError("There is a tenet of this name already.")
        return name


class VersionForm(forms.Form):
    """One wording of a promise."""

    promise = forms.CharField(
        max_length=1000,
        label="What we promise",
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="One plain sentence that the customer may read.",
    )
    rationale = forms.CharField(
        max_length=2000,
        required=False,
        label="Why they need it",
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="How they use us, what an outage, an error or a delay does to them.",
    )
    review_by = forms.DateField(
        required=False,
        label="Review by",
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
        help_text="Promises are never finished: when to ask again whether this one fits.",
    )

    @staticmethod
    def values_of(version: TenetVersion) -> dict[str, Any]:
        """Return what the fields show of a version."""
        return {
            "promise": version.promise,
            "rationale": version.rationale,
            "review_by": version.review_by,
        }


class ClauseForm(forms.Form):
    """A measurable part of the promise; a row left empty is none."""

    text = forms.CharField(max_length=300, required=False, label="What is measured")
    dimension = forms.ChoiceField(choices=Dimension.choices, initial=Dimension.ERROR, label="About")
    kind = forms.ChoiceField(choices=ClauseKind.choices, initial=ClauseKind.BUDGET, label="How")
    target = forms.DecimalField(
        required=False,
        min_value=Decimal(0),
        max_value=Decimal("99.9999"),
        max_digits=6,
        decimal_places=4,
        label="At least, in percent",
        help_text="Of a budget: the share that must go well. An invariant has none.",
    )
    threshold_ms = forms.IntegerField(
        required=False, min_value=1, max_value=2**31 - 1, label="Within, in milliseconds"
    )
    journey = forms.ModelChoiceField(
        queryset=Journey.objects.none(),
        required=False,
        label="Of which journey",
        empty_label="All attempts",
    )

    def __init__(self, *args: Any, service: Service, **options: Any) -> None:
        super().__init__(*args, **options)
        field = self.fields["journey"]
        assert isinstance(field, forms.ModelChoiceField)  # noqa: S101  (for the type)
        field.queryset = Journey.objects.filter(service=service).order_by("name", "pk")

    def clean(self) -> dict[str, Any]:
        """Ask for what the kind of clause needs."""
        data: dict[str, Any] = super().clean() or {}
        if not data.get("text") or self.errors:
            return data
        budget = data.get("kind") == ClauseKind.BUDGET
        if budget and data.get("target") is None:
            self.add_error("target", "A budget has a share that must go well.")
        if not budget and data.get("target") is not None:
            self.add_error("target", "An invariant has no share: it is never broken.")
        return data

    def draft(self) -> ClauseDraft | None:
        """Return the clause, None for a row that was left empty."""
        data = self.cleaned_data
        if not data.get("text"):
            return None
        target = data.get("target")
        return ClauseDraft(
            text=data["text"],
            dimension=data["dimension"],
            kind=data["kind"],
            target=None if target is None else target / 100,
            threshold_ms=data.get("threshold_ms"),
            journey=data.get("journey"),
        )

    @staticmethod
    def values_of(clause: Clause) -> dict[str, Any]:
        """Return what the fields show of a clause."""
        share = None if clause.target is None else (clause.target * 100).normalize()
        return {
            "text": clause.text,
            "dimension": clause.dimension,
            "kind": clause.kind,
            "target": None if share is None else f"{share:f}",
            "threshold_ms": clause.threshold_ms,
            "journey": clause.journey_id,
        }


if TYPE_CHECKING:
    _ClauseForms = forms.BaseFormSet[ClauseForm]
else:
    _ClauseForms = forms.BaseFormSet


class AllClauses(_ClauseForms):
    """The clauses of a version, in order."""

    def drafts(self) -> list[ClauseDraft]:
        """Return those that were filled in."""
        return [draft for form in self.forms if (draft := form.draft())]


ClauseForms = forms.formset_factory(
    ClauseForm, formset=AllClauses, extra=2, max_num=MOST_CLAUSES, absolute_max=MOST_CLAUSES
)
