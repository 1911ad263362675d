"""System checks of the settings, each with an id."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004

from apps.core.metrics import measured_by
from portal import env


class PortalConfig(AppConfig):
    """The frame of the house."""

    name = "portal"

    def ready(self) -> None:
        """Register the checks, and make the worker's application the one that wake-ups go to."""
        import portal.celery  # noqa: F401, PLC0415  (it reads the settings, which stand only now)
        from portal.measured import queues, version  # noqa: PLC0415  (it needs the models)

        measured_by(queues)
        measured_by(version)
        register(check_environment)
        register(check_production, Tags.security, deploy=True)


def check_environment(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """Report every variable that could not be read as what it should be."""
    found: list[CheckMessage] = [
        Error(f"{name}: {reason}.", id="portal.E001") for name, reason in env.PROBLEMS
    ]
    url = env.address("PORTAL_URL", settings.PORTAL_URL)
    if url.scheme not in {"http", "https"} or not url.hostname:
        found.append(
            Error(
                f"PORTAL_URL is {settings.PORTAL_URL!r}.",
                hint="Give the address that people type, such as https://status.example.com.",
                id="portal.E002",
            )
        )
    return found


def check_production(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """Report what is unfit for production (`check --deploy`)."""
    found: list[CheckMessage] = []
    if not settings.PORTAL_PRODUCTION:
        found.append(
            Warning(
                "PORTAL_PRODUCTION is off: mail goes only to the domains of PORTAL_MAIL_DOMAINS.",
                hint="Set PORTAL_PRODUCTION=1.",
                id="portal.W001",
            )
        )
    if not settings.PORTAL_URL.startswith("https://"):
        found.append(
            Warning("PORTAL_URL is not https://: cookies would travel in clear.", id="portal.W002")
        )
    if settings.PORTAL_PRODUCTION and settings.DEFAULT_FROM_EMAIL.endswith("@example.com"):
        found.append(
            Warning(
                "PORTAL_MAIL_FROM is not set: mail would come from example.com.", id="portal.W003"
            )
        )
    return found
