"""Addresses of the guidance editor."""

from django.urls import path

from apps.guidance import views

app_name = "guidance"
urlpatterns = [
    path("", views.listing, name="list"),
    path("new/", views.new, name="new"),
    path("<str:code>/<str:kind>/", views.edit, name="edit"),
]
