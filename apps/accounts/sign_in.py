"""Forms of signing in, as allauth wants them, in our words."""

from typing import Any

from allauth.account.forms import LoginForm, RequestLoginCodeForm
from django import forms


class PasswordSignIn(LoginForm):  # type: ignore[misc]
    """An address and a password."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["login"].label = "E-mail address"
        self.fields["login"].widget.attrs = {"autocomplete": "username", "maxlength": 254}
        self.fields["password"].widget.attrs = {"autocomplete": "current-password"}
        self.fields["password"].help_text = ""
        self.fields["password"].max_length = 1000

    def add_prefix(self, field_name: str) -> str:
        """Keep the name under which browsers and scripts know the first field."""
        return "username" if field_name == "login" else str(super().add_prefix(field_name))


class CodeRequest(RequestLoginCodeForm):  # type: ignore[misc]
    """The address of who wants a code."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        field = self.fields["email"]
        field.label = "E-mail address"
        field.widget = forms.EmailInput(attrs={"autocomplete": "email", "maxlength": 254})
