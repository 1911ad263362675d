"""Every address of the portal. What is not listed under "open to everyone" needs a sign-in."""

from django.contrib.auth import views as auth
from django.urls import URLPattern, URLResolver, include, path

from apps.accounts.access import allowed
from apps.accounts.views.first import first
from apps.accounts.views.people import invitation
from apps.catalog.urls import addresses as catalog_addresses
from apps.core.views import accent, chart, healthz, settings, style
from apps.impact.tenet_evidence import witness
from apps.telemetry import otlp_api
from apps.telemetry.catalog_traffic import requests_by_operation
from apps.tenets.views import guide as tenet_guide
from portal.measured import page as metrics

# Open to everyone
public = [
    path("healthz", healthz, name="healthz"),
    path("accent.css", accent, name="accent"),
    path("sign-in/", include("apps.accounts.sign_in_urls")),
    path("first/<str:token>/", first, name="first_admin"),
    path("invitation/<str:token>/", invitation, name="invitation"),
    path("api/v1/", include("apps.telemetry.urls")),
    path("api/v1/", include("apps.customers.api_urls")),
    path("v1/traces", otlp_api.traces, name="otlp_traces"),
    path("v1/logs", otlp_api.logs, name="otlp_logs"),
    path("metrics", metrics, name="metrics"),
    path("errors/", include("apps.guidance.public_urls")),
    path("", include("apps.statuspage.urls")),
]

# Console: staff and account managers
console: list[URLPattern | URLResolver] = [
    path("style/", allowed("console")(style), name="style"),
    path("settings/", allowed("console")(settings), name="settings"),
    path("charts/<str:key>/", allowed("console")(chart), name="chart"),
    path("", include("apps.outreach.today_urls")),
    path("search/", include("apps.outreach.search_urls")),
    path("incidents/", include("apps.incidents.urls")),
    path("system/telemetry/", include("apps.telemetry.system_urls")),
    path("system/", include("apps.incidents.system_urls")),
    path("customers/", include("apps.outreach.customer_urls")),
    path("tenets/guide/", tenet_guide, {"witness": witness}),  # tenets cannot read traffic
    path("tenets/", include("apps.tenets.urls")),
    path("outreach/", include("apps.outreach.urls")),
    path("guidance/", include("apps.guidance.urls")),
    path("gaps/", include("apps.impact.urls")),
    path("windows/", include("apps.impact.run_urls")),
    path("", include(catalog_addresses(requests_by_operation))),
    path("", include("apps.telemetry.console_urls")),
    path("", include("apps.accounts.urls")),
    path("account/", include("apps.accounts.second_factor_urls")),
]

urlpatterns = [
    *public,
    path("sign-out/", auth.LogoutView.as_view(), name="logout"),
    path("console/", include(console)),
]
