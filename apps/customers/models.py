"""Customers, contacts and identification rules."""

from typing import Self

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models.functions import Lower

from apps.accounts.models import Role, User
from apps.core.claims import Claimable


class Kind(models.TextChoices):
    """What sort of customer: people as a cohort, a business with its own customers, or colleagues."""

    CONSUMERS = "consumers", "Consumers"
    BUSINESS = "business", "Business"
    INTERNAL = "internal", "Colleagues"


class CustomerQuerySet(models.QuerySet["Customer"]):
    """The reads of customers; every customer-facing page starts at `visible_to`."""

    def visible_to(self, user: User | AnonymousUser) -> Self:
        """Staff see all, account managers their own, contacts the accounts they are a contact of."""
        if not isinstance(user, User) or not user.is_active:
            return self.none()
        if user.is_staff:
            return self
        if user.role == Role.ACCOUNT_MANAGER:
            return self.filter(account_manager=user)
        return self.filter(pk__in=Contact.objects.filter(user=user).values("customer"))


class Customer(models.Model):
    """An account we can name."""

    name = models.CharField(max_length=200)
    slug = models.SlugField(max_length=100, unique=True)
    external_id = models.CharField(max_length=200, unique=True, null=True, blank=True)
    kind = models.CharField(max_length=20, choices=Kind)
    parent = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="children"
    )
    account_manager = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="accounts",
    )
    # Their own customers, in their words: whom an outage of ours breaks through them.
    end_users = models.CharField(max_length=300, blank=True)
    end_users_count = models.PositiveBigIntegerField(null=True, blank=True)
    reached_by = models.CharField(max_length=300, blank=True)  # how they reach their end users
    # What they can bear: their words, and the number that we compare with.
    bears_outage = models.CharField(max_length=300, blank=True)
    bears_outage_minutes = models.PositiveIntegerField(null=True, blank=True)
    bears_error = models.CharField(max_length=300, blank=True)
    bears_error_share = models.DecimalField(
        max_digits=7, decimal_places=6, null=True, blank=True
    )  # of their requests, 0..1
    bears_delay = models.CharField(max_length=300, blank=True)
    bears_delay_seconds = models.PositiveIntegerField(null=True, blank=True)
    bears_loss = models.CharField(max_length=300, blank=True)
    bears_loss_count = models.PositiveIntegerField(null=True, blank=True)  # orders, records, ...
    tags = ArrayField(models.CharField(max_length=50), default=list, blank=True)
    language = models.CharField(max_length=10, default="en")
    time_zone = models.CharField(max_length=50, default="UTC")
    notes = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    objects = CustomerQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(kind__in=Kind.values), name="customer_kind_known"
            ),
            models.CheckConstraint(
                condition=models.Q(bears_error_share__range=(0, 1))
                | models.Q(bears_error_share=None),
                name="customer_error_share",
                violation_error_message="A share lies between 0 and 1: 0.01 is one in a hundred.",
            ),
            models.CheckConstraint(
                condition=~models.Q(parent=models.F("pk")),
                name="customer_not_own_parent",
                violation_error_message="A customer cannot be part of itself.",
            ),
        ]
        indexes = [
            # The list page is by name; an account manager's Today filters by account_manager (its FK index).
            models.Index(Lower("name"), "id", name="customer_list"),
            # The list's filter by tag.
            GinIndex(fields=["tags"], name="customer_tags"),
        ]

    def __str__(self) -> str:
        return self.name


class CustomerJourney(models.Model):
    """A journey that matters to a customer, and what one that goes through is worth to them."""

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="journeys")
    # The catalog's slug or a name of theirs: the catalog lies above this app.
    journey = models.CharField(max_length=100)
    value = models.DecimalField(max_digits=12, decimal_places=2, null=True, blank=True)
    currency = models.CharField(max_length=3, blank=True)  # ISO 4217
    note = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "customer",
                "journey",
                name="journey_once_per_customer",
                violation_error_message="This journey is listed for them already.",
            ),
            models.CheckConstraint(
                condition=models.Q(value=None) | models.Q(currency__regex=r"^[A-Z]{3}$"),
                name="customer_journey_currency",
                violation_error_message="A value needs a currency of three capitals, such as EUR.",
            ),
            models.CheckConstraint(
                condition=models.Q(value=None) | models.Q(value__gte=0),
                name="customer_journey_value",
                violation_error_message="A value cannot be below nothing.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.journey} ({self.customer})"


class Purpose(models.TextChoices):
    """What we write to a contact about."""

    OPERATIONS = "operations", "Operations"
    EXECUTIVE = "executive", "Executive"
    BILLING = "billing", "Billing"


class Contact(models.Model):
    """A person at a customer."""

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="contacts")
    name = models.CharField(max_length=200)
    email = models.EmailField()
    purpose = models.CharField(max_length=20, choices=Purpose, default=Purpose.OPERATIONS)
    language = models.CharField(max_length=10, default="en")
    time_zone = models.CharField(max_length=50, default="UTC")
    do_not_contact = models.BooleanField(default=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="contacts",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "customer",
                Lower("email"),
                name="contact_once_per_customer",
                violation_error_message="This customer already has a contact with this address.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} <{self.email}>"


class Attribute(models.TextChoices):
    """What of a request tells whose it is."""

    CUSTOMER = "customer", "Customer or tenant field"
    API_KEY = "api_key", "API key"
    USER = "user", "Signed-in user"
    HOST = "host", "Host name"
    PATH_PREFIX = "path_prefix", "Path begins with"
    NETWORK = "network", "Client network"
    SERVICE = "service", "Service"
    OAUTH_CLIENT = "oauth_client", "OAuth client"


class IdentificationRule(models.Model):
    """If the attribute of a request matches the value, the request is this customer's. First match wins."""

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="rules")
    position = models.PositiveIntegerField(default=100)
    attribute = models.CharField(max_length=20, choices=Attribute)
    value = models.CharField(max_length=300)
    # Which attribute tells the actor apart; "" = as found.
    actor_from = models.CharField(max_length=20, choices=Attribute, blank=True)
    enabled = models.BooleanField(default=True)
    note = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "attribute",
                "value",
                name="rule_once",
                violation_error_message="Another rule already matches this.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_attribute_display()} {self.value} → {self.customer}"


class ImportState(models.TextChoices):
    """queued → checking → checked → confirmed → applying → done; failed or discarded on the way."""

    QUEUED = "queued", "Waiting to be read"
    CHECKING = "checking", "Being read"
    CHECKED = "checked", "Read, nothing applied yet"
    CONFIRMED = "confirmed", "Waiting to be applied"
    APPLYING = "applying", "Being applied"
    DONE = "done", "Applied"
    FAILED = "failed", "Failed"
    DISCARDED = "discarded", "Discarded"


class CustomerImport(Claimable):
    """A file of customers: what it would change, and what it did."""

    name = models.CharField(max_length=200)  # of the file
    content = models.BinaryField(null=True)  # until it was applied or discarded
    size = models.PositiveIntegerField()
    state = models.CharField(max_length=20, choices=ImportState, default=ImportState.QUEUED)
    progress = models.PositiveSmallIntegerField(default=0)  # percent
    counts = models.JSONField(default=dict)  # outcome -> lines
    error = models.CharField(max_length=500, blank=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()

    class Meta:
        indexes = [
            # The worker's question, and the sweep's.
            models.Index(
                fields=["state", "id"],
                name="customer_import_waiting",
                condition=models.Q(state__in=["queued", "checking", "confirmed", "applying"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.get_state_display()})"


class CustomerImportLine(models.Model):
    """What became of one line of a file."""

    of = models.ForeignKey(CustomerImport, on_delete=models.CASCADE, related_name="lines")
    number = models.PositiveIntegerField()
    record = models.CharField(max_length=20)
    who = models.CharField(max_length=600)
    outcome = models.CharField(max_length=10)
    fields = ArrayField(models.CharField(max_length=50), default=list)
    column = models.CharField(max_length=50, blank=True)
    reason = models.CharField(max_length=300, blank=True)
    hint = models.CharField(max_length=1000, blank=True)

    class Meta:
        indexes = [
            # The report: by outcome, in the order of the file.
            models.Index(fields=["of", "outcome", "number"], name="import_lines"),
        ]

    def __str__(self) -> str:
        return f"line {self.number}: {self.outcome}"
