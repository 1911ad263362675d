"""Addresses of error guidance, open to everyone."""

from django.urls import path

from apps.guidance import views

app_name = "guidance_public"
urlpatterns = [
    # A proxy that answers errors with this page names the code in X-Original-Status.
    path("", views.error, name="error_of_proxy"),
    path("<str:code>", views.error, name="error"),
]
