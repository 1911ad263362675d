from django.apps import AppConfig

from apps.core.notices import on_today


class StatuspageConfig(AppConfig):
    name = "apps.statuspage"

    def ready(self) -> None:
        """Let Today say when a customer sees something else than we show."""
        from apps.statuspage.queries import unseen_reports  # noqa: PLC0415  (models are ready now)

        on_today(unseen_reports)
