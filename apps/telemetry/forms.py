"""What people type about rules."""

from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.db.models import Q

from apps.accounts.models import User
from apps.customers.models import Attribute, Customer, IdentificationRule
from apps.telemetry import trial
from apps.telemetry.actions import RuleDraft
from apps.telemetry.actions.rules import ACTOR_FROM

MOST_OFFERED = 200  # customers that the field completes; with more, one types


class RuleForm(forms.Form):
    """One rule."""

    customer = forms.CharField(
        max_length=200,
        label="The customer",
        help_text="Their name, or their id with us.",
        widget=forms.TextInput(attrs={"list": "customers", "autocomplete": "off"}),
    )
    attribute = forms.ChoiceField(
        choices=Attribute.choices, label="What of a request shows that it is theirs"
    )
    value = forms.CharField(
        max_length=300,
        label="What it must be",
        help_text="A host such as api.example.com or *.example.com, a path such as /partners/acme/,"
        " a network such as 203.0.113.0/24 or 2001:db8::/48; of all else exactly what requests carry.",
    )
    actor_from = forms.ChoiceField(
        choices=[("", "As found: user, else session, else address")]
        + [(one.value, one.label) for one in ACTOR_FROM],
        required=False,
        label="What tells their people apart",
        help_text="Where a request does not carry it, as found. It is only ever kept as a keyed hash.",
    )
    place = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=1_000_000,
        label="Place in the list",
        help_text="1 is asked first. Left empty, a new rule comes last and another stays where it is.",
    )
    note = forms.CharField(max_length=300, required=False, label="Why we know")
    enabled = forms.BooleanField(required=False, initial=True, label="In force")

    def __init__(self, *args: Any, user: User, **options: Any) -> None:
        super().__init__(*args, **options)
        self._visible = Customer.objects.visible_to(user)

    def offered(self) -> list[str]:
        """Return the names to complete the customer's with; none when there are too many."""
        names = list(
            self._visible.order_by("name", "pk").values_list("name", flat=True)[: MOST_OFFERED + 1]
        )
        return names if len(names) <= MOST_OFFERED else []

    def clean_customer(self) -> Customer:
        """Find the customer by slug, external id or name."""
        text: str = self.cleaned_data["customer"]
        found = list(self._visible.filter(Q(slug=text) | Q(external_id=text))[:2])
        found = found or list(self._visible.filter(name__iexact=text).order_by("pk")[:2])
        if len(found) == 1:
            return found[0]
        if found:
            raise forms.ValidationError(
                "Several customers are called that. Write the id of the one you mean,"
                " or the last part of its page's address."
            )
        near = self._visible.filter(name__icontains=text).order_by("name", "pk")[:5]
        meant = ", ".join(one.name for one in near)
        raise forms.ValidationError(
            f"Nobody is called that. Perhaps: {meant}."
            if meant
            else "We know no customer of this name."
        )

    def draft(self) -> RuleDraft:
        """Return what was typed."""
        return RuleDraft(**self.cleaned_data)

    @staticmethod
    def values_of(rule: IdentificationRule) -> dict[str, Any]:
        """Return what the fields show of a rule."""
        return {
            "customer": rule.customer.name,
            "attribute": rule.attribute,
            "value": rule.value,
            "actor_from": rule.actor_from,
            "note": rule.note,
            "enabled": rule.enabled,
        }


class TrialForm(forms.Form):
    """Some requests to try."""

    text = forms.CharField(
        required=False,
        max_length=trial.LARGEST,
        strip=False,
        label="Lines of a log, or events",
        help_text="As your servers write them: nginx, Apache, Envoy, JSON, CSV.",
        widget=forms.Textarea(attrs={"rows": 6, "spellcheck": "false"}),
    )
    file = forms.FileField(
        required=False,
        label="Or a file",
        help_text=f"At most 1 MiB; its first {trial.MOST_LINES} lines are tried.",
    )

    def clean_file(self) -> "UploadedFile[bytes] | None":
        """Refuse what is too large to be a sample."""
        file: UploadedFile[bytes] | None = self.cleaned_data["file"]
        if file is not None and (file.size or 0) > trial.LARGEST:
            raise forms.ValidationError(
                f"The file is larger than 1 MiB. Its first {trial.MOST_LINES} lines are enough."
            )
        return file

    def data_given(self) -> bytes:
        """Return the bytes to try: the file if there is one, else the text."""
        file: UploadedFile[bytes] | None = self.cleaned_data.get("file")
        if file is not None:
            return bytes(file.read())
        text: str = self.cleaned_data["text"]
        return text.replace("\r\n", "\n").encode("utf-8", "backslashreplace")
