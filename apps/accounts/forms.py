"""What people type about people, themselves and keys."""

from typing import Any

from django import forms
from django.contrib.auth.password_validation import password_validators_help_texts

from apps.accounts.models import Role, Scope, User

#: Who can be invited: customers' contacts come by a mailed code.
INVITED = [(role.value, role.label) for role in Role if role != Role.CUSTOMER]

STATES = [
    ("", "Active and invited"),
    ("active", "Active"),
    ("invited", "Invited"),
    ("inactive", "Deactivated"),
    ("any", "All"),
]


class PeopleFilter(forms.Form):
    """Search, role and state; what is not a choice is no filter."""

    q = forms.CharField(required=False, max_length=200)
    role = forms.ChoiceField(required=False, choices=[("", "All roles"), *Role.choices])
    state = forms.ChoiceField(required=False, choices=STATES)

    def wishes(self) -> dict[str, str]:
        """Return the filters that can be understood, as `people_list` takes them."""
        self.is_valid()
        given = self.cleaned_data
        return {
            "search": given.get("q", ""),
            "role": given.get("role", ""),
            "state": given.get("state", ""),
        }


class AuditFilter(forms.Form):
    """Who, what, to which thing, and when; what cannot be understood is no filter."""

    q = forms.CharField(required=False, max_length=200, label="Person")
    action = forms.CharField(required=False, max_length=100, label="Action")
    target = forms.CharField(required=False, max_length=200, label="Target")
    since = forms.DateField(
        required=False, label="From", widget=forms.DateInput(attrs={"type": "date"})
    )
    until = forms.DateField(
        required=False, label="To", widget=forms.DateInput(attrs={"type": "date"})
    )

    def wishes(self) -> dict[str, Any]:
        """Return the filters that can be understood, as `audit_log` takes them."""
        self.is_valid()
        given = self.cleaned_data
        return {
            "person": given.get("q", ""),
            "action": given.get("action", ""),
            "target": given.get("target", ""),
            "since": given.get("since"),
            "until": given.get("until"),
        }


class InviteForm(forms.Form):
    """Who is asked to come, and as what."""

    name = forms.CharField(max_length=200, label="Name")
    email = forms.EmailField(max_length=254, label="E-mail address")
    role = forms.ChoiceField(
        choices=[("", "Choose a role"), *INVITED],
        label="Role",
        help_text="What each may do stands below the form.",
        error_messages={"required": "Choose what the person is here."},
    )


class RoleForm(forms.Form):
    """Another role."""

    role = forms.ChoiceField(choices=INVITED, label="Role")


class NameForm(forms.Form):
    """One's own name."""

    name = forms.CharField(
        max_length=200, label="Name", help_text="As colleagues see it, and customers in mail."
    )


def _password(label: str, purpose: str, **options: Any) -> forms.CharField:
    widget = forms.PasswordInput(attrs={"autocomplete": purpose})
    return forms.CharField(label=label, strip=False, max_length=1000, widget=widget, **options)


class NewPasswordForm(forms.Form):
    """A password, twice."""

    password = _password("New password", "new-password")
    again = _password("The same password again", "new-password")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["password"].help_text = " ".join(password_validators_help_texts())

    def clean_again(self) -> str:
        """Refuse two different ones."""
        again: str = self.cleaned_data["again"]
        if "password" in self.cleaned_data and again != self.cleaned_data["password"]:
            raise forms.ValidationError("These two are different. Type the same password twice.")
        return again


class FirstAdminForm(NewPasswordForm):
    """Who becomes the first admin."""

    name = forms.CharField(max_length=200, label="Your name")
    email = forms.EmailField(max_length=254, label="Your e-mail address")
    field_order = ("name", "email", "password", "again")


class PasswordForm(NewPasswordForm):
    """The password one has, and the one to have."""

    current = _password("Your password now", "current-password")
    field_order = ("current", "password", "again")

    def __init__(self, *args: Any, user: User, **options: Any) -> None:
        super().__init__(*args, **options)
        self.user = user

    def clean_current(self) -> str:
        """Refuse a wrong one."""
        current: str = self.cleaned_data["current"]
        if not self.user.check_password(current):
            raise forms.ValidationError("That is not your password.")
        return current


class KeyForm(forms.Form):
    """What uses a key, and what it may do."""

    name = forms.CharField(
        max_length=200, label="What uses it", help_text="Such as “edge nginx, Frankfurt”."
    )
    scopes = forms.MultipleChoiceField(
        choices=[
            (Scope.INGEST, "Send events"),
            (Scope.READ, "Read: customers, incidents, tenets"),
            (Scope.MANAGE, "Manage: change customers and what we run"),
            (Scope.METRICS, "Scrape /metrics, as Prometheus does"),
        ],
        widget=forms.CheckboxSelectMultiple,
        label="What it may do",
        help_text="As little as it needs.",
        error_messages={"required": "Choose at least one thing that the key may do."},
    )


class RotateForm(forms.Form):
    """How long the old key goes on."""

    until = forms.DateTimeField(
        label="The old key works until (UTC)",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        help_text="At most 30 days from now: time to give the new one to everything that uses it.",
        error_messages={"invalid": "Give a day and a time, such as 2026-12-24T10:00."},
    )
