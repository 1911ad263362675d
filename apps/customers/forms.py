"""What people may ask of the list of customers."""

from typing import Any

from django import forms

from apps.customers.models import Kind
from apps.customers.queries import account_managers


class CustomerFilter(forms.Form):
    """Search, kind and account manager; what is not a choice is no filter."""

    q = forms.CharField(required=False, max_length=200)
    kind = forms.ChoiceField(required=False, choices=[("", "All kinds"), *Kind.choices])
    manager = forms.ChoiceField(required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.managers = [(str(one.pk), one.name) for one in account_managers()]
        field = self.fields["manager"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101  (for the type checker)
        field.choices = [("", "Everybody's"), *self.managers, ("none", "Nobody's")]

    def wishes(self) -> dict[str, str]:
        """Return the filters that can be understood, as `customer_list` takes them."""
        self.is_valid()
        given = self.cleaned_data
        return {
            "search": given.get("q", ""),
            "kind": given.get("kind", ""),
            "manager": given.get("manager", ""),
        }
