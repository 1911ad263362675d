"""What customers type."""

from django import forms
from django.utils import timezone

from apps.accounts import codes, sign_in
from apps.statuspage.actions import LONGEST, open_account


class CodeRequest(sign_in.CodeRequest):
    """The address of a customer's contact, who may never have signed in before.

    Ours sign in with a password: a mailbox alone is not enough for them.
    """

    def clean_email(self) -> str:
        """Find the contact. Whether we know them is not said."""
        email = str(super().clean_email())
        now = timezone.now()
        self._user = open_account(email=email, now=now)
        if self._user is None:
            codes.leave(email="", code=codes.NO_CODE, now=now)
        return email


class ReportForm(forms.Form):
    """What a customer sees that our page does not say."""

    customer = forms.IntegerField(min_value=1, max_value=2**62, required=False)
    text = forms.CharField(max_length=LONGEST)
