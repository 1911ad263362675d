from typing import Any

from django.apps import AppConfig
from django.urls import reverse

from apps.core.metrics import measured_by
from apps.core.notices import Notice, on_today


class TelemetryConfig(AppConfig):
    name = "apps.telemetry"

    def ready(self) -> None:
        """Let Today say who sends nothing any more, and `/metrics` what comes in."""
        from apps.telemetry.measured import measured  # noqa: PLC0415  (it needs the models)

        on_today(silent_senders)
        measured_by(measured)


def silent_senders(user: Any) -> Notice | None:
    """Say how many sources and services are missed, to whoever may look at them."""
    from apps.telemetry import actions  # noqa: PLC0415  (they need the apps)
    from apps.telemetry.models import Silence  # noqa: PLC0415

    if not user.can(actions.READ):
        return None
    n = Silence.objects.filter(ended_at=None).count()
    if not n:
        return None
    words = f"{n} senders are silent" if n > 1 else "1 sender is silent"
    return Notice(words, reverse("intake:overview"), "See which, and since when")
