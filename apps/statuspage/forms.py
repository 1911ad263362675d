"""What customers type."""

from django import forms

from apps.statuspage.actions import LONGEST


class ReportForm(forms.Form):
    """What a customer sees that our page does not say."""

    customer = forms.IntegerField(min_value=1, max_value=2**62, required=False)
    text = forms.CharField(max_length=LONGEST)
