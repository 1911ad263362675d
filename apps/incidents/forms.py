"""What people type about an incident. Times are UTC."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django import forms

from apps.accounts.models import User
from apps.catalog.models import Service
from apps.core.fields import UtcField
from apps.incidents.actions import MOST_ADVICE, MOST_REASON, MOST_TEXT, TOLD_STATES, needs_reason
from apps.incidents.models import LIVE, TRANSITIONS, Fault, Incident, State, Update, Visibility
from apps.incidents.queries import people_for

#: When the next update comes, in minutes from now.
PROMISES = (
    (15, "15 minutes"),
    (30, "30 minutes"),
    (60, "1 hour"),
    (120, "2 hours"),
    (240, "4 hours"),
    (1440, "1 day"),
)
LONGEST_AGO = timedelta(days=366)
LEVELS = (
    (1, "1, the worst: most are stopped"),
    (2, "2, serious: many are stopped"),
    (3, "3, some are stopped"),
    (4, "4, slight: all get through in the end"),
)
STATE_HELP = {
    State.INVESTIGATING: "we do not know the cause",
    State.IDENTIFIED: "we know the cause",
    State.MONITORING: "a fix is in, we watch it",
    State.RESOLVED: "it is over",
    State.REOPENED: "it has come back",
    State.REVIEWED: "we have learned from it",
    State.DISMISSED: "a false alarm, or a duplicate",
}


if TYPE_CHECKING:
    ChoiceOfUser = forms.ModelChoiceField[User]
else:  # generic only for the type checker
    ChoiceOfUser = forms.ModelChoiceField


class UserField(ChoiceOfUser):
    """A person, by name and role."""

    def label_from_instance(self, obj: User) -> str:
        """Return what tells two people of one name apart."""
        return f"{obj.name} ({obj.get_role_display().lower()})"


def _begun(value: datetime, now: datetime) -> datetime:
    if value > now:
        raise forms.ValidationError("The first failure cannot be in the future. Times are UTC.")
    if value < now - LONGEST_AGO:
        raise forms.ValidationError("That is over a year ago: check the year.")
    return value


class DeclareForm(forms.Form):
    """What went wrong, as far as it is known."""

    title = forms.CharField(
        max_length=200,
        label="What is wrong",
        error_messages={"required": "Say in a few words what is wrong."},
        help_text="A few words that customers may read, such as “Checkout fails for some”.",
    )
    cannot = forms.CharField(
        max_length=300,
        required=False,
        label="What customers cannot do",
        help_text="Goes on from “Customers cannot …”, in their words: “pay by card”.",
    )
    started_at = UtcField(
        label="First failure (UTC)",
        help_text="When the first customer met it, as far as you know. It can be corrected later.",
    )
    services = forms.ModelMultipleChoiceField(
        queryset=Service.objects.none(),
        required=False,
        label="Services",
        widget=forms.CheckboxSelectMultiple,
        help_text="With one service its traffic alone is looked at; with none or several, all traffic.",
    )
    fault = forms.ChoiceField(
        choices=Fault.choices,
        initial=Fault.UNKNOWN,
        label="Whose fault",
        help_text="Customers are told whosever it is.",
    )
    visibility = forms.ChoiceField(
        choices=Visibility.choices,
        initial=Visibility.PUBLIC,
        label="Who may read of it",
        help_text="Nobody reads anything before you publish the first update.",
    )

    def __init__(self, *args: Any, now: datetime, **options: Any) -> None:
        super().__init__(*args, **options)
        self.now = now
        services = self.fields["services"]
        assert isinstance(services, forms.ModelMultipleChoiceField)  # noqa: S101  (for the type)
        services.queryset = Service.objects.filter(proposed=False).order_by("name", "pk")

    def clean_started_at(self) -> datetime:
        """Refuse the future, and a mistyped year."""
        return _begun(self.cleaned_data["started_at"], self.now)


class EditForm(forms.Form):
    """What an incident says of itself, and the version that was read."""

    title = forms.CharField(
        max_length=200,
        label="What is wrong",
        error_messages={"required": "Say in a few words what is wrong."},
    )
    cannot = forms.CharField(
        max_length=300,
        required=False,
        label="What customers cannot do",
        help_text="Goes on from “Customers cannot …”.",
    )
    started_at = UtcField(
        label="First failure (UTC)",
        help_text="An other time has the impact computed anew.",
    )
    fault = forms.ChoiceField(choices=Fault.choices, label="Whose fault")
    visibility = forms.ChoiceField(choices=Visibility.choices, label="Who may read of it")
    lead = UserField(queryset=User.objects.none(), required=False, label="Lead")
    liaison = UserField(queryset=User.objects.none(), required=False, label="Customer liaison")
    version = forms.IntegerField(widget=forms.HiddenInput, min_value=1, max_value=2**31 - 1)

    def __init__(self, *args: Any, now: datetime, incident: Incident, **options: Any) -> None:
        options.setdefault("initial", self.values_of(incident))
        super().__init__(*args, **options)
        self.now, self.incident = now, incident
        for name in ("lead", "liaison"):
            field = self.fields[name]
            assert isinstance(field, forms.ModelChoiceField)  # noqa: S101  (for the type)
            # Whoever is on it already stays choosable, whatever became of their role.
            field.queryset = people_for("incident.edit") | User.objects.filter(
                pk=getattr(incident, f"{name}_id")
            )

    @staticmethod
    def values_of(incident: Incident) -> dict[str, Any]:
        """Return what the fields show of an incident."""
        return {
            **{name: getattr(incident, name) for name in EditForm.base_fields},
            "lead": incident.lead_id,
            "liaison": incident.liaison_id,
        }

    def clean_started_at(self) -> datetime | None:
        """Return None when it is as it was (the field has no fractions of a second)."""
        value: datetime = self.cleaned_data["started_at"]
        if value == self.incident.started_at.replace(microsecond=0):
            return None
        return _begun(value, self.now)


class StateForm(forms.Form):
    """Another state, and why."""

    state = forms.ChoiceField(label="It is now", widget=forms.RadioSelect)
    reason = forms.CharField(
        max_length=MOST_REASON,
        required=False,
        label="Why",
        help_text="Needed to go back, to dismiss and to reopen. Staff and account managers read it.",
    )

    def __init__(self, *args: Any, incident: Incident, **options: Any) -> None:
        super().__init__(*args, **options)
        self.incident = incident
        field = self.fields["state"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101  (for the type)
        field.choices = _states(
            [state for state in TRANSITIONS[incident.state] if state != State.RESOLVED]
        )

    def clean(self) -> dict[str, Any]:
        """Ask why where it must be said."""
        data: dict[str, Any] = super().clean() or {}
        state = data.get("state")
        if (
            state
            and needs_reason(self.incident.state, state)
            and not data.get("reason", "").strip()
        ):
            self.add_error("reason", "Say why.")
        return data


class UpdateForm(forms.Form):
    """The next word to customers, and the revision of the draft that was read."""

    state = forms.ChoiceField(label="It is now", widget=forms.RadioSelect)
    text = forms.CharField(
        max_length=MOST_TEXT,
        label="What customers read",
        error_messages={"required": "Write what customers read."},
        widget=forms.Textarea(attrs={"rows": 8}),
        help_text="What they cannot do, since when, what we do about it. Plain words, no blame.",
    )
    advice = forms.CharField(
        max_length=MOST_ADVICE,
        required=False,
        label="Do they need to act?",
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="What helps them now, or that they need do nothing.",
    )
    next_in = forms.TypedChoiceField(
        choices=[("", "No promise (only when it is over)"), *PROMISES],
        coerce=int,
        empty_value=None,
        required=False,
        label="Next update from us in",
        widget=forms.Select(attrs={"required": True}),
        help_text="Counted from when you save. While it goes on, customers are told a time.",
    )
    revision = forms.IntegerField(
        widget=forms.HiddenInput, required=False, min_value=1, max_value=2**31 - 1
    )

    def __init__(self, *args: Any, incident: Incident, **options: Any) -> None:
        super().__init__(*args, **options)
        field = self.fields["state"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101  (for the type)
        field.choices = _states(
            [
                state
                for state in (incident.state, *TRANSITIONS[incident.state])
                if state in TOLD_STATES
            ]
        )

    def clean(self) -> dict[str, Any]:
        """Ask for a promise while it goes on."""
        data: dict[str, Any] = super().clean() or {}
        if data.get("state") in LIVE and "next_in" not in self.errors and not data.get("next_in"):
            self.add_error("next_in", "While it goes on, say when customers hear from us next.")
        return data

    @staticmethod
    def values_of(draft: Update, *, now: datetime) -> dict[str, Any]:
        """Return what the fields show of a draft."""
        due = draft.next_update_at
        left = (due - now).total_seconds() / 60 if due else None
        return {
            "state": draft.state,
            "text": draft.text,
            "advice": draft.advice,
            "revision": draft.revision,
            "next_in": ""
            if left is None
            else next((minutes for minutes, _ in PROMISES if minutes >= left), 1440),
        }


class ResolveForm(forms.Form):
    """The last word, and when it ended."""

    text = forms.CharField(
        max_length=MOST_TEXT,
        label="What customers read",
        error_messages={"required": "Write what customers read."},
        widget=forms.Textarea(attrs={"rows": 7}),
        help_text="That it is over, since when, what it was, and what you do so that it stays so.",
    )
    advice = forms.CharField(
        max_length=MOST_ADVICE,
        required=False,
        label="Do they need to act?",
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="For example: an order that did not go through can be placed again.",
    )
    ended_at = UtcField(
        label="Last failure (UTC)",
        help_text="The impact is computed up to here a last time.",
    )
    revision = forms.IntegerField(
        widget=forms.HiddenInput, required=False, min_value=1, max_value=2**31 - 1
    )

    def __init__(self, *args: Any, incident: Incident, now: datetime, **options: Any) -> None:
        super().__init__(*args, **options)
        self.incident, self.now = incident, now

    def clean_ended_at(self) -> datetime:
        """Refuse an end before the start, and the future."""
        value: datetime = self.cleaned_data["ended_at"]
        if value > self.now:
            raise forms.ValidationError("The last failure cannot be in the future. Times are UTC.")
        # The field has no fractions of a second.
        if value < self.incident.started_at.replace(microsecond=0):
            raise forms.ValidationError(
                f"The first failure was at {self.incident.started_at:%H:%M:%S on %d %b} UTC."
            )
        return max(value, self.incident.started_at)


class SeverityForm(forms.Form):
    """How bad it is for one kind of customer, and why."""

    level = forms.TypedChoiceField(
        choices=LEVELS, coerce=int, label="Severity", widget=forms.RadioSelect
    )
    reason = forms.CharField(
        max_length=MOST_REASON,
        required=False,
        label="Why",
        help_text="Needed when it differs from what was proposed.",
    )


def _states(states: list[str]) -> list[tuple[str, str]]:
    states = sorted(states, key=State.values.index)
    return [(state, f"{State(state).label}: {STATE_HELP[State(state)]}") for state in states]
