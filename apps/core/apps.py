from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Info, register


class CoreConfig(AppConfig):
    name = "apps.core"

    def ready(self) -> None:
        """Register the check of the accent."""
        register(check_accent)


def check_accent(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """Refuse an accent that is no colour; say so when one had to be made readable."""
    from apps.core.accent import accent_of, parse  # noqa: PLC0415  (only when asked)

    if not settings.PORTAL_ACCENT:
        return []
    colour = parse(settings.PORTAL_ACCENT)
    if colour is None:
        return [
            Error(
                f"PORTAL_ACCENT is {settings.PORTAL_ACCENT!r}, which we cannot read as a colour.",
                hint="Write it as #2b4fb8, rgb(43 79 184) or hsl(225 62% 44%).",
                id="core.E001",
            )
        ]
    accent = accent_of(colour)
    if accent.adjusted:
        return [
            Info(
                f"PORTAL_ACCENT is too pale for light pages and too dark for dark ones: {accent.light.accent}"
                f" and {accent.dark.accent} are used.",
                id="core.I001",
            )
        ]
    return []
