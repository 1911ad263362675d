"""Addresses of gaps."""

from django.urls import path

from apps.impact import views

app_name = "impact"

urlpatterns = [
    path("", views.gaps, name="gaps"),
    path("coverage/", views.show_coverage, name="coverage"),
    path("<int:pk>/", views.gap_page, name="gap"),
    path("<int:pk>/assign/", views.assign, name="assign"),
    path("<int:pk>/accept/", views.accept, name="accept"),
    path("<int:pk>/reopen/", views.reopen, name="reopen"),
]
