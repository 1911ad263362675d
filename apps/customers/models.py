"""Customers, contacts and identification rules."""

from typing import Self

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models.functions import Lower

from apps.accounts.models import Role, User


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
    bears_outage = models.CharField(max_length=300, blank=True)
    bears_error = models.CharField(max_length=300, blank=True)
    bears_delay = models.CharField(max_length=300, blank=True)
    bears_loss = models.CharField(max_length=300, blank=True)
    language = models.CharField(max_length=10, default="en")
    time_zone = models.CharField(max_length=50, default="UTC")
    notes = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = CustomerQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(kind__in=Kind.values), name="customer_kind_known"
            ),
        ]
        # The list page is by name; an account manager's Today filters by account_manager (its FK index).
        indexes = [models.Index(Lower("name"), "id", name="customer_list")]

    def __str__(self) -> str:
        return self.name


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


class IdentificationRule(models.Model):
    """If the attribute of a request matches the value, the request is this customer's. First match wins."""

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="rules")
    position = models.PositiveIntegerField(default=100)
    attribute = models.CharField(max_length=20, choices=Attribute)
    value = models.CharField(max_length=300)
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
