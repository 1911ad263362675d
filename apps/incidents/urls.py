"""Addresses of incidents."""

from django.urls import include, path

from apps.incidents import views

app_name = "incidents"

# /console/incidents/<pk>/
incident_urls = [
    path("", views.room, name="room"),
    path("customers/", views.customers, name="customers"),
    path("compare/", views.compare, name="compare"),
    path("attempts/", views.attempts, name="attempts"),
    path("timeline/", views.timeline, name="timeline"),
    path("edit/", views.edit, name="edit"),
    path("state/", views.state, name="state"),
    path("severity/<slug:kind>/", views.severity, name="severity"),
    path("impact/", views.impact, name="impact"),
    path("update/", views.update, name="update"),
    path("publish/", views.publish, name="publish"),
    path("discard/", views.discard, name="discard"),
    path("resolve/", views.resolve, name="resolve"),
]

urlpatterns = [
    path("", views.listing, name="list"),
    path("declare/", views.declare, name="declare"),
    path("<int:pk>/", include(incident_urls)),
]
