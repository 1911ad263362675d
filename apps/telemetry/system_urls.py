"""Addresses of *System → Telemetry*."""

from django.urls import path

from apps.telemetry import system_views

app_name = "intake"

urlpatterns = [
    path("", system_views.overview, name="overview"),
    path("<int:sender>/", system_views.one, name="sender"),
    path("<int:sender>/retire/", system_views.retire, name="retire"),
]
