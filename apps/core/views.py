"""Pages of the kernel."""

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse


@login_not_required
def healthz(request: HttpRequest) -> HttpResponse:
    """Answer that the web process is up; it asks nothing of the database."""
    return HttpResponse("ok\n", content_type="text/plain")
