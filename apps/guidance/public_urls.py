"""Addresses of error guidance, open to everyone."""

from django.urls import URLPattern

app_name = "guidance_public"
urlpatterns: list[URLPattern] = []
