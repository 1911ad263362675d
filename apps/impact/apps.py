from django.apps import AppConfig

from apps.core.metrics import measured_by


class ImpactConfig(AppConfig):
    name = "apps.impact"

    def ready(self) -> None:
        """Let `/metrics` say what waits to be computed."""
        from apps.impact.measured import measured  # noqa: PLC0415  (it needs the models)

        measured_by(measured)
