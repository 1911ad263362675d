"""All clauses of a version: added, ordered, removed and read."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django import forms

from apps.tenets.actions import MOST_CLAUSES, ClauseDraft
from apps.tenets.forms.clauses import ClauseForm
from apps.tenets.models import ClauseKind

PREFIX = "clause"
_EDIT = re.compile(r"(up|down|remove)-([0-9]{1,2})")

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
    ClauseForm,
    formset=AllClauses,
    extra=0,
    min_num=1,
    max_num=MOST_CLAUSES,
    absolute_max=MOST_CLAUSES,
)


def as_written(data: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the clauses of a form as they were typed, right or wrong."""
    total = data.get(f"{PREFIX}-TOTAL_FORMS", "")
    count = int(total) if re.fullmatch("[0-9]{1,2}", total) else 0
    return [
        {
            name: data[typed]
            for name in ClauseForm.base_fields
            if (typed := f"{PREFIX}-{place}-{name}") in data
        }
        for place in range(min(count, MOST_CLAUSES))
    ]


def rearranged(
    written: list[dict[str, Any]], *, edit: str, kind: str
) -> tuple[list[dict[str, Any]], int | None]:
    """Return the clauses after one was added (of `kind`), moved or removed, and the place to look at.

    `edit` is add, up-N, down-N or remove-N, N from 0; anything else changes nothing.
    """
    clauses = list(written)
    if edit == "add" and len(clauses) < MOST_CLAUSES:
        chosen = kind if kind in ClauseKind.values else ClauseKind.BUDGET
        return [*clauses, {"kind": chosen}], len(clauses)
    found = _EDIT.fullmatch(edit)
    place = int(found[2]) if found else -1
    if found is None or place >= len(clauses):
        return clauses, None
    one = clauses.pop(place)
    if found[1] == "remove":
        return clauses, min(place, len(clauses) - 1) if clauses else None
    to = max(0, place + (1 if found[1] == "down" else -1))
    clauses.insert(to, one)
    return clauses, min(to, len(clauses) - 1)
