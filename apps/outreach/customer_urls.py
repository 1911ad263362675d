"""Addresses of customers."""

from django.urls import path

from apps.outreach import customer_views

app_name = "customers"

urlpatterns = [
    path("", customer_views.customers, name="list"),
    path("<slug:slug>/", customer_views.profile, name="profile"),
]
