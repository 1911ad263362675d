"""Addresses of gaps."""

from django.urls import path

from apps.impact import views

app_name = "impact"

urlpatterns = [
    path("", views.gaps, name="gaps"),
    path("<int:pk>/assign/", views.assign, name="assign"),
]
