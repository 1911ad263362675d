"""A tenet, and one wording of its promise."""

import re
from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.text import slugify

from apps.accounts.models import STAFF, User
from apps.catalog.models import Service
from apps.customers.models import Customer, Kind
from apps.tenets.models import Audience, Tenet, TenetVersion, VersionState

CADENCES = [(1, "month"), (3, "3 months"), (6, "6 months"), (12, "12 months")]


class TenetForm(forms.Form):
    """About what, and to whom."""

    name = forms.CharField(
        max_length=100, label="Name", help_text="Such as “Orders of businesses”."
    )
    service = forms.ModelChoiceField(
        queryset=Service.objects.none(), label="Service", empty_label="Choose a service"
    )
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


if TYPE_CHECKING:
    _PersonField = forms.ModelChoiceField[User]
else:
    _PersonField = forms.ModelChoiceField


class PersonField(_PersonField):
    """A person, by name."""

    def label_from_instance(self, obj: Any) -> str:
        """Show the name."""
        return str(obj.name)


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
    audience = forms.ChoiceField(
        choices=Audience.choices, initial=Audience.CLASS, label="Who may read it"
    )
    customers = forms.CharField(
        max_length=2000,
        required=False,
        label="Named customers",
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=(
            "Only for a promise to named customers: the short names in the addresses of their pages,"
            " such as acme, with spaces or commas between."
        ),
    )
    owner = PersonField(
        queryset=User.objects.none(),
        required=False,
        label="Owner",
        empty_label="Who opened the tenet",
        help_text="Who answers for it, and is asked when its review is due.",
    )
    review_by = forms.DateField(
        required=False,
        label="Review by",
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
        help_text="Promises are never finished: when to ask again whether this one fits.",
    )
    review_every_months = forms.TypedChoiceField(
        choices=[("", "As written above"), *CADENCES],
        coerce=int,
        empty_value=None,
        required=False,
        label="Then every",
        help_text="Without a day above, the first review is so long after it is given for review.",
    )
    change_note = forms.CharField(
        max_length=300,
        required=False,
        label="Why it changes",
        help_text="One sentence for who approves it, and for who reads the history.",
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        field = self.fields["owner"]
        assert isinstance(field, forms.ModelChoiceField)  # noqa: S101  (for the type)
        field.queryset = User.objects.filter(role__in=STAFF, is_active=True).order_by("name", "pk")

    def clean_customers(self) -> list[Customer]:
        """Find the customers of these names; say which there are not."""
        names = list(dict.fromkeys(re.split(r"[\s,;]+", self.cleaned_data["customers"].strip())))
        names = [name for name in names if name]
        found = {one.slug: one for one in Customer.objects.filter(slug__in=names)}
        if missing := [name for name in names if name not in found]:
            raise forms.ValidationError(
                f"There is no customer {', '.join(missing[:5])}. The short name is the last part of"
                " the address of the customer's page."
            )
        return [found[name] for name in names]

    def clean(self) -> dict[str, Any]:
        """Ask for names where it is promised by name."""
        data: dict[str, Any] = super().clean() or {}
        if data.get("audience") == Audience.NAMED and not data.get("customers", True):
            self.add_error("customers", "Name the customers whom it is promised to.")
        return data

    @staticmethod
    def values_of(version: TenetVersion) -> dict[str, Any]:
        """Return what the fields show of a version."""
        draft = version.state == VersionState.DRAFT
        return {
            "promise": version.promise,
            "rationale": version.rationale,
            "audience": version.audience,
            "customers": ", ".join(one.slug for one in version.customers.all()),
            "owner": version.owner_id,
            "review_by": version.review_by if draft else None,
            "review_every_months": version.review_every_months,
            "change_note": version.change_note if draft else "",
        }
