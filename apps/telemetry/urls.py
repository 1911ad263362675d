from django.urls import path

from apps.telemetry import api

app_name = "telemetry"

urlpatterns = [
    path("events", api.events, name="events"),
]
