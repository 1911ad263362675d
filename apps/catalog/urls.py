"""Addresses of what we run, under /console/."""

from django.urls import URLPattern, path

from apps.catalog import views

APP_NAME = "catalog"


def addresses(traffic: views.Traffic) -> tuple[list[URLPattern], str]:
    """Return what `include` takes; `traffic` counts requests, which the catalog cannot read itself."""
    told = {"traffic": traffic}
    return [
        path("services/", views.services, name="services"),
        path("services/new/", views.new, name="new"),
        path("services/<slug:slug>/", views.service, told, name="service"),
        path("services/<slug:slug>/edit/", views.edit, name="edit"),
        path("services/<slug:slug>/confirm/", views.confirm, name="confirm"),
        path("services/<slug:slug>/propose/", views.propose, name="propose"),
        path("services/<slug:slug>/journeys/new/", views.new_journey, name="new_journey"),
        path("services/<slug:slug>/dependencies/", views.depend, told, name="depend"),
        path("dependencies/<int:pk>/remove/", views.remove, name="remove"),
        path("journeys/<int:pk>/", views.journey, name="journey"),
        path("journeys/<int:pk>/delete/", views.delete, name="delete_journey"),
        path("operations/<int:pk>/", views.operation, name="operation"),
    ], APP_NAME
