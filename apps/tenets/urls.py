"""Addresses of tenets."""

from django.urls import URLPattern

app_name = "tenets"
urlpatterns: list[URLPattern] = []
