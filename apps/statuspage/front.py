"""The WSGI middleware ahead of Django: rendered pages from memory."""

from typing import Any


def serve_rendered_first(application: Any) -> Any:
    """Return `application` behind the rendered pages."""
    return application
