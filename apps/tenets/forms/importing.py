"""A file of OpenSLO, as people send it."""

from typing import Any

from django import forms

from apps.customers.models import Kind

#: How much of a file is read; the reader refuses more.
MOST_CHARACTERS = 256 * 1024


class ImportForm(forms.Form):
    """A file of OpenSLO, sent or pasted."""

    file = forms.FileField(required=False, label="A file", allow_empty_file=True)
    text = forms.CharField(
        required=False,
        max_length=MOST_CHARACTERS,
        strip=False,
        label="Or its text",
        widget=forms.Textarea(attrs={"rows": 14, "spellcheck": "false"}),
        help_text="YAML of OpenSLO v1, at most 256 KiB, without any secret.",
    )
    kind = forms.ChoiceField(
        choices=[("", "As the file says"), *Kind.choices],
        required=False,
        label="Promised to",
        help_text="For SLOs that do not say it: OpenSLO has no word for kinds of customers.",
    )
    add_services = forms.BooleanField(
        required=False, label="Add services that the catalog does not have"
    )

    def clean_file(self) -> str | None:
        """Read the file as text."""
        file = self.cleaned_data.get("file")
        if file is None:
            return None
        if file.size > MOST_CHARACTERS:
            raise forms.ValidationError("The file is larger than 256 KiB.")
        try:
            return str(file.read().decode("utf-8-sig"))
        except UnicodeDecodeError:
            raise forms.ValidationError("The file is no text in UTF-8.") from None

    def clean(self) -> dict[str, Any]:
        """Ask for one of the two."""
        data: dict[str, Any] = super().clean() or {}
        data["source"] = data.get("file") or data.get("text") or ""
        if not self.errors and not data["source"].strip():
            raise forms.ValidationError("Choose a file, or paste its text.")
        return data
