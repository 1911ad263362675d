"""The guide's questions as forms."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django import forms

from apps.catalog.models import Journey, Service
from apps.customers.models import Kind
from apps.tenets.actions import MOST_CLAUSES
from apps.tenets.guide import ANSWERS, DEFAULTS, QUESTIONS, Answer, Evidence

#: Journeys that the guide proposes promises for; the others begin with none.
FIRST_JOURNEYS = MOST_CLAUSES // len(QUESTIONS)


class ChoiceOfGuide(forms.Form):
    """To whom, and about what, the guide asks."""

    kind = forms.ChoiceField(choices=Kind.choices, label="Kind of customer")
    service = forms.ModelChoiceField(
        queryset=Service.objects.none(), label="Service", empty_label="Choose a service"
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        field = self.fields["service"]
        assert isinstance(field, forms.ModelChoiceField)  # noqa: S101  (for the type)
        field.queryset = Service.objects.filter(proposed=False).order_by("name", "pk")


class GuideForm(forms.Form):
    """Four questions about each journey: can they bear it, and how much of it?"""

    def __init__(self, *args: Any, kind: str, journeys: Sequence[Journey], **options: Any) -> None:
        super().__init__(*args, **options)
        self.journeys = journeys
        for place, journey in enumerate(journeys):
            for question in QUESTIONS:
                bears, number = DEFAULTS[kind][question.name]
                self.fields[f"{journey.pk}-{question.name}"] = forms.ChoiceField(
                    choices=ANSWERS,
                    label=question.words,
                    initial=bears if place < FIRST_JOURNEYS else "yes",
                )
                self.fields[f"{journey.pk}-{question.name}-number"] = forms.IntegerField(
                    min_value=0,
                    max_value=question.most,
                    required=False,
                    initial=number,
                    label=f"If some, up to: {question.number}",
                )

    def clean(self) -> dict[str, Any]:
        """Ask for the number of a “some”."""
        data: dict[str, Any] = super().clean() or {}
        for journey in self.journeys:
            for question in QUESTIONS:
                name = f"{journey.pk}-{question.name}"
                if data.get(name) == "some" and not data.get(f"{name}-number"):
                    self.add_error(f"{name}-number", "Some is at least 1; otherwise choose No.")
        if not self.errors and not any(
            data[f"{journey.pk}-{question.name}"] != "yes"
            for journey in self.journeys
            for question in QUESTIONS
        ):
            raise forms.ValidationError(
                "They can bear everything: then there is nothing to promise."
            )
        return data

    def answers(self, journey: Journey) -> dict[str, Answer]:
        """Return what was answered about a journey."""
        data = self.cleaned_data
        return {
            question.name: Answer(
                data[f"{journey.pk}-{question.name}"],
                data.get(f"{journey.pk}-{question.name}-number") or 0,
            )
            for question in QUESTIONS
        }

    def rows(self, evidence: Mapping[int, Evidence]) -> Iterator[dict[str, Any]]:
        """Yield each journey with its fields, beside what traffic says."""
        for journey in self.journeys:
            yield {
                "journey": journey,
                "evidence": evidence.get(journey.pk),
                "questions": [
                    (
                        self[f"{journey.pk}-{question.name}"],
                        self[f"{journey.pk}-{question.name}-number"],
                    )
                    for question in QUESTIONS
                ],
            }
