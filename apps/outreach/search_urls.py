"""The address of the search."""

from django.urls import path

from apps.outreach import search_views

urlpatterns = [path("", search_views.results, name="search")]
