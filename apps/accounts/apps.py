from typing import Any

from django.apps import AppConfig
from django.urls import reverse

from apps.core.notices import Notice, on_today


class AccountsConfig(AppConfig):
    name = "apps.accounts"

    def ready(self) -> None:
        """Hear of sign-ins, and tell admins on Today when the audit log is not whole."""
        from apps.accounts import second_factor, sessions  # noqa: PLC0415  (they need the models)

        sessions.listen()
        second_factor.listen()
        on_today(broken_log)


def broken_log(user: Any) -> Notice | None:
    """Say that the last check found the audit log broken, to whoever may read it."""
    from apps.accounts.models import AuditCheck  # noqa: PLC0415  (it needs the apps)

    if not user.can("audit.read"):
        return None
    latest = AuditCheck.objects.order_by("-pk").first()
    if latest is None or latest.ok:
        return None
    return Notice("The audit log is broken", reverse("accounts:audit"), "Read the log")
