"""Addresses of windows that somebody asks for by themselves."""

from django.urls import path

from apps.impact import views

app_name = "runs"

urlpatterns = [
    path("", views.runs, name="list"),
    path("new/", views.ask, name="new"),
    path("<int:pk>/", views.run_page, name="run"),
    path("<int:pk>/customers/", views.customers, name="customers"),
    path("<int:pk>/attempts/", views.attempts, name="attempts"),
    path("<int:pk>/compare/", views.compare, name="compare"),
    path("<int:pk>/cancel/", views.cancel, name="cancel"),
    path("<int:pk>/again/", views.again, name="again"),
]
