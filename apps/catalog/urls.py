"""Addresses of what we run, under /console/."""

from django.urls import URLPattern, path

from apps.catalog import route_views, views

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
        path("services/<slug:slug>/patterns/", route_views.listing, told, name="patterns"),
        path("services/<slug:slug>/patterns/new/", route_views.write, told, name="pattern"),
        path("services/<slug:slug>/patterns/refuse/", route_views.refuse, name="refuse"),
        path("patterns/<int:pk>/reconsider/", route_views.reconsider, name="reconsider"),
        path("dependencies/<int:pk>/remove/", views.remove, name="remove"),
        path("journeys/<int:pk>/", views.journey, name="journey"),
        path("journeys/<int:pk>/delete/", views.delete, name="delete_journey"),
        path("operations/<int:pk>/", views.operation, name="operation"),
        path("operations/<int:pk>/drop/", route_views.drop, name="drop_route"),
        path("operations/<int:pk>/part/", route_views.part, name="part"),
        path("operations/<int:pk>/ignore/", route_views.ignore, name="ignore"),
    ], APP_NAME
