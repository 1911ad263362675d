"""What every template may use."""

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

from apps.core.accent import accent_of_settings


def portal(request: HttpRequest) -> dict[str, object]:
    """Return the portal's name and address, and where its accent is said ("" = it has the usual one)."""
    accent = accent_of_settings()
    return {
        "portal_name": settings.PORTAL_NAME,
        "portal_url": settings.PORTAL_URL,
        "accent_css": f"{reverse('accent')}?v={accent.version}" if accent else "",
    }
