from django.apps import AppConfig

from apps.core.metrics import measured_by


class OutreachConfig(AppConfig):
    name = "apps.outreach"

    def ready(self) -> None:
        """Let `/metrics` say what waits to be sent."""
        from apps.outreach.measured import measured  # noqa: PLC0415  (it needs the models)

        measured_by(measured)
