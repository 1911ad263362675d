"""What people ask of the list of customers, and what they type about one."""

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from django import forms
from django.db.models import Q
from django.forms.boundfield import BoundField
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from apps.accounts.models import User
from apps.customers import columns
from apps.customers.models import Contact, Customer, Kind
from apps.customers.queries import SORTS, account_managers, tags_in_use

MOST_JOURNEYS = 20

#: The parts of the form, as they stand on the page.
GROUPS = (
    ("Who they are", "", ("name", "kind", "external_id", "account_manager", "parent", "tags")),
    (
        "Their customers",
        "Whom an outage of ours breaks through them.",
        ("end_users", "end_users_count", "reached_by"),
    ),
    (
        "What they can bear",
        "In their words, and the number that we compare with what happened.",
        ("bears_outage", "bears_outage_minutes", "bears_error", "bears_error_share",
         "bears_delay", "bears_delay_seconds", "bears_loss", "bears_loss_count"),
    ),
    ("How we write to them", "", ("language", "time_zone", "notes")),
)  # fmt: skip


class CustomerFilter(forms.Form):
    """Search, the list's filters and its order; what is not a choice is no filter."""

    q = forms.CharField(required=False, max_length=200)
    kind = forms.ChoiceField(required=False, choices=[("", "All kinds"), *Kind.choices])
    manager = forms.ChoiceField(required=False)
    tag = forms.ChoiceField(required=False)
    parent = forms.SlugField(required=False, max_length=100)
    archived = forms.ChoiceField(
        required=False, choices=[("", "Current"), ("only", "Archived"), ("all", "Both")]
    )
    lacks = forms.ChoiceField(
        required=False,
        choices=[
            ("", "Complete or not"),
            ("contact", "Nobody to mail"),
            ("rule", "No rule names them"),
        ],
    )
    sort = forms.ChoiceField(
        required=False, choices=[(turn + key, key) for key in SORTS for turn in ("", "-")]
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        managers = [(str(one.pk), one.name) for one in account_managers()]
        self._choices("manager", [("", "Everybody's"), *managers, ("none", "Nobody's")])
        self._choices("tag", [("", "All tags"), *((one, one) for one in tags_in_use(user))])

    def _choices(self, name: str, choices: list[tuple[str, str]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101  (for the type checker)
        field.choices = choices

    def wishes(self) -> dict[str, str]:
        """Return the filters that can be understood, as `customer_list` takes them."""
        self.is_valid()
        given = self.cleaned_data
        names = ("kind", "manager", "tag", "parent", "archived", "lacks", "sort")
        return {"search": given.get("q", "")} | {name: given.get(name, "") for name in names}


if TYPE_CHECKING:
    CustomerModelForm = forms.ModelForm[Customer]
    ContactModelForm = forms.ModelForm[Contact]
    LinesFormSet = forms.BaseFormSet["JourneyForm"]
else:  # generic only for the type checker
    CustomerModelForm = ContactModelForm = forms.ModelForm
    LinesFormSet = forms.BaseFormSet


@cache
def zone_options() -> SafeString:
    """Return the options of the list of time zones; there are hundreds, so they are made once."""
    names = ((name,) for name in sorted(columns.zones()))
    return format_html_join("", '<option value="{}"></option>', names)


def read(how: Callable[[str], Any], text: str) -> Any:
    """Read a value as a file's cell is read, and word what is wrong for a form."""
    try:
        return how(text)
    except columns.Unreadable as problem:
        raise forms.ValidationError(f"{problem.reason}. {problem.hint}") from problem


class CustomerForm(CustomerModelForm):
    """A customer, in groups."""

    tags = forms.CharField(
        required=False, max_length=1200, help_text="Between commas, such as “gold, eu”."
    )
    parent = forms.CharField(
        required=False,
        max_length=200,
        label="Part of",
        help_text="The id or name of the customer that they are a part of.",
    )
    bears_error_share = forms.CharField(
        required=False,
        max_length=20,
        label="… of their requests",
        help_text="Such as 0.1 % or 0.001.",
    )

    class Meta:
        model = Customer
        fields = [name for _, _, names in GROUPS for name in names]
        labels = {
            "external_id": "Their id with us",
            "account_manager": "Account manager",
            "end_users": "Who they are",
            "end_users_count": "How many",
            "reached_by": "How they reach them",
            "bears_outage": "An outage",
            "bears_outage_minutes": "… in minutes",
            "bears_error": "Errors",
            "bears_delay": "A delay",
            "bears_delay_seconds": "… in seconds",
            "bears_loss": "A loss",
            "bears_loss_count": "… how many",
            "time_zone": "Time zone",
        }
        help_texts = {
            "name": "As they call themselves.",
            "external_id": "From your own records; imports find the customer by it.",
            "end_users": "Such as “shoppers of forty web shops”.",
            "reached_by": "Such as “their own status page, and mail”.",
            "bears_outage": "Such as “ten minutes outside office hours”.",
            "bears_error": "Such as “one in a thousand, if a retry works”.",
            "bears_delay": "Such as “a second at the till”.",
            "bears_loss": "Such as “no order may be lost”.",
            "bears_loss_count": "Orders, records, or what they count.",
            "language": "A code such as en or pt-BR.",
            "time_zone": "Such as Europe/Berlin.",
            "notes": "For staff and account managers. Markdown.",
        }
        error_messages = {
            "name": {"required": "Give the customer a name."},
            "kind": {"required": "Choose what kind of customer they are."},
            "external_id": {"unique": "Another customer has this id. Look for them in the list."},
        }
        widgets = {"time_zone": forms.TextInput(attrs={"list": "time-zones"})}

    def __init__(self, *args: Any, user: User, **options: Any) -> None:
        super().__init__(*args, **options)
        self.user = user
        row = self.instance
        if row.pk:
            self.initial["tags"] = ", ".join(row.tags)
            self.initial["parent"] = (
                (row.parent.external_id or row.parent.slug) if row.parent else ""
            )
            if row.bears_error_share is not None:
                self.initial["bears_error_share"] = (
                    f"{row.bears_error_share * 100:f}".rstrip("0").rstrip(".") + " %"
                )
        self.fields["language"].required = self.fields["time_zone"].required = False
        manager = self.fields["account_manager"]
        assert isinstance(manager, forms.ModelChoiceField)  # noqa: S101  (for the type checker)
        manager.queryset = account_managers()
        manager.empty_label = "Nobody"
        if not user.can("customer.edit"):
            for name in ("kind", "external_id", "account_manager", "parent"):
                del self.fields[name]

    def wrong(self) -> list[tuple[str, str]]:
        """Return the fields with errors in the order of the page: id and what it is called there."""
        return [
            (str(field.id_for_label), f"{title}: {field.label}")
            for title, _, fields in self.groups()
            for field in fields
            if field.errors
        ]

    def groups(self) -> list[tuple[str, str, list[BoundField]]]:
        """Return the parts of the form that this person fills in."""
        return [
            (title, help_text, [self[name] for name in names if name in self.fields])
            for title, help_text, names in GROUPS
        ]

    def clean_tags(self) -> list[str]:
        """Read the tags."""
        found: list[str] = read(columns.tags, self.cleaned_data["tags"])
        return found

    def clean_language(self) -> str:
        """Read the language; none is English."""
        return str(read(columns.language, self.cleaned_data["language"] or "en"))

    def clean_time_zone(self) -> str:
        """Read the time zone; none is UTC."""
        return str(read(columns.time_zone, self.cleaned_data["time_zone"] or "UTC"))

    def clean_notes(self) -> str:
        """Read the notes."""
        return str(read(columns.text(columns.MOST_NOTES, lines=True), self.cleaned_data["notes"]))

    def clean_bears_error_share(self) -> Any:
        """Read a share, as a number or in percent."""
        text = self.cleaned_data["bears_error_share"]
        return read(columns.share, text) if text else None

    def clean_parent(self) -> Customer | None:
        """Find the customer that was named."""
        name = self.cleaned_data["parent"]
        if not name:
            return None
        rows = Customer.objects.visible_to(self.user)
        found = list(rows.filter(external_id=name)) or list(
            rows.filter(Q(slug=name) | Q(name__iexact=name)).order_by("pk")[:2]
        )
        if not found:
            raise forms.ValidationError("No customer has this id or name. Look it up in the list.")
        if len(found) > 1:
            raise forms.ValidationError("Several customers have this name. Write the id instead.")
        if found[0].pk == self.instance.pk:
            raise forms.ValidationError("A customer cannot be part of itself.")
        return found[0]


class JourneyForm(forms.Form):
    """A journey that matters to them."""

    journey = forms.CharField(
        required=False, max_length=100, label="Journey", help_text="Such as “checkout”."
    )
    value = forms.CharField(
        required=False,
        max_length=20,
        label="What one is worth",
        help_text="To them, such as 49.90.",
    )
    currency = forms.CharField(
        required=False, max_length=3, label="Currency", help_text="Three letters, such as EUR."
    )
    note = forms.CharField(required=False, max_length=300, label="Note")

    def clean_value(self) -> Any:
        """Read the value."""
        text = self.cleaned_data["value"]
        return read(columns.money, text) if text else None

    def clean_currency(self) -> str:
        """Read the currency."""
        text = self.cleaned_data["currency"]
        return str(read(columns.currency, text)) if text else ""

    def clean(self) -> dict[str, Any]:
        """Ask for the journey of a value, and the currency."""
        given = super().clean() or {}
        if not given.get("journey") and any(given.values()):
            self.add_error("journey", "Say which journey this is about, or clear the line.")
        if (
            given.get("value") is not None
            and not given.get("currency")
            and "currency" not in self.errors
        ):
            self.add_error("currency", "A value needs its currency, such as EUR.")
        return given


class BaseJourneyForms(LinesFormSet):
    """Journeys, each once; one without a name is left out."""

    def clean(self) -> None:
        """Refuse a journey that is there twice."""
        given = [getattr(form, "cleaned_data", {}).get("journey") for form in self.forms]
        names = [name for name in given if name]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise forms.ValidationError(f"“{twice}” is there twice. Take one of them out.")

    def journeys(self) -> list[dict[str, Any]]:
        """Return what was typed, without empty lines."""
        return [one for one in self.cleaned_data if one.get("journey")]


JourneyForms = forms.formset_factory(
    JourneyForm, formset=BaseJourneyForms, extra=2, max_num=MOST_JOURNEYS, absolute_max=MOST_JOURNEYS + 2,
    validate_max=True,
)  # fmt: skip


class ContactForm(ContactModelForm):
    """A person at a customer."""

    class Meta:
        model = Contact
        fields = ["name", "email", "purpose", "language", "time_zone", "do_not_contact"]
        labels = {
            "email": "Address",
            "purpose": "What we write to them about",
            "time_zone": "Time zone",
            "do_not_contact": "Does not want mail from us",
        }
        help_texts = {
            "email": "We write there, and they sign in to the status page with it.",
            "language": "A code such as en or pt-BR.",
            "time_zone": "Such as Europe/Berlin: times in mail are theirs.",
        }
        error_messages = {
            "name": {"required": "Give the contact's name."},
            "email": {
                "required": "Give an address.",
                "invalid": "Write the address such as jo@example.com.",
            },
        }
        widgets = {"time_zone": forms.TextInput(attrs={"list": "time-zones"})}

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["language"].required = self.fields["time_zone"].required = False

    clean_language = CustomerForm.clean_language
    clean_time_zone = CustomerForm.clean_time_zone


class ImportForm(forms.Form):
    """A file to import."""

    file = forms.FileField(
        label="CSV file",
        max_length=200,
        help_text="UTF-8, with a first line that names the columns. Nothing is applied before you have seen what "
        "would change.",
        error_messages={"required": "Choose a file.", "empty": "The file is empty.", "max_length": "The file's name "
                        "is too long. Rename it and try again."},
    )  # fmt: skip
