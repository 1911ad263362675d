from django.apps import AppConfig

from apps.core.metrics import measured_by


class IncidentsConfig(AppConfig):
    name = "apps.incidents"

    def ready(self) -> None:
        """Let `/metrics` say how many incidents are open."""
        from apps.incidents.measured import measured  # noqa: PLC0415  (it needs the models)

        measured_by(measured)
