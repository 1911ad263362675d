"""The address of Today."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
