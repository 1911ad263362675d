"""The worker's application and its clock. A message is a wake-up; what is to do stands in rows."""

import os

from celery import Celery
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

app = Celery("portal")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

# Each app's sweep finds the rows whose wake-up was lost; being skipped or doubled is harmless.
SWEEPS = [
    "core.sweep",
    "accounts.sweep",
    "customers.sweep",
    "impact.sweep",
    "incidents.sweep",
    "outreach.sweep",
    "statuspage.sweep",
    "telemetry.sweep",
]
app.conf.beat_schedule = {
    name: {
        "task": name,
        "schedule": float(settings.PORTAL_SWEEP_SECONDS),
        "options": {"expires": 60},
    }
    for name in SWEEPS
}
