"""Addresses of the guidance editor."""

from django.urls import URLPattern

app_name = "guidance"
urlpatterns: list[URLPattern] = []
