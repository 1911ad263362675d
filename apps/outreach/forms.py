"""Parse what people write in messages. What may be said is for the actions to judge."""

from typing import Any

from django import forms

from apps.customers.models import Contact
from apps.outreach.actions import Settlement
from apps.outreach.models import Outreach


class EditForm(forms.Form):
    """Words and recipients, and what the writer had before their eyes."""

    subject = forms.CharField(max_length=200, strip=False)
    text = forms.CharField(max_length=50_000, strip=False, widget=forms.Textarea)
    recipients = forms.ModelMultipleChoiceField(Contact.objects.none(), required=False)
    incident_version = forms.IntegerField(required=False, min_value=0, max_value=2**31 - 1)
    snapshot = forms.IntegerField(required=False, min_value=1, max_value=2**63 - 1)
    content_hash = forms.CharField(required=False, max_length=64)
    drop_picture = forms.BooleanField(required=False)

    def __init__(self, *args: Any, outreach: Outreach, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["recipients"]
        assert isinstance(field, forms.ModelMultipleChoiceField)  # noqa: S101  (for the type checker)
        field.queryset = outreach.customer.contacts.all()


class ApproveForm(forms.Form):
    """The hash of what the approver saw."""

    content_hash = forms.CharField(max_length=64)


class ReasonForm(forms.Form):
    """Why."""

    reason = forms.CharField(required=False, max_length=250)


class SettleForm(forms.Form):
    """What became of a mail."""

    outcome = forms.ChoiceField(choices=[(one.value, one.name) for one in Settlement])
