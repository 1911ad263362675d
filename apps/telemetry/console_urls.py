"""Addresses of identification: the rules, and how much traffic belongs to somebody we can name."""

from django.urls import path

from apps.telemetry import views

app_name = "rules"

urlpatterns = [
    path("identification/", views.identification, name="identification"),
    path("rules/", views.listing, name="list"),
    path("rules/new/", views.new, name="new"),
    path("rules/test/", views.attempt, name="test"),
    path("rules/<int:rule>/edit/", views.edit, name="edit"),
    path("rules/<int:rule>/move/", views.move, name="move"),
    path("rules/<int:rule>/switch/", views.switch, name="switch"),
    path("rules/<int:rule>/delete/", views.delete, name="delete"),
]
