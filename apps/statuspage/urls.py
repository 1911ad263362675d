"""Addresses of the status page. `front` answers `/`, `/i/…` and `/index.json` before Django is asked."""

from django.urls import path

from apps.statuspage import views

app_name = "statuspage"
urlpatterns = [
    path("", views.home, name="home"),
    path("i/<str:reference>", views.incident, name="incident"),
    path("for/", views.accounts, name="accounts"),
    path("for/<int:pk>/", views.choose, name="choose"),
    path("leave/", views.leave, name="leave"),
    path("reports/", views.report, name="report"),
    path("reports/thanks/", views.reported, name="reported"),
    path("console/reports/", views.reports, name="reports"),
]
