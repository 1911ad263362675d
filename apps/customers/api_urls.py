"""Addresses of customers for programs."""

from django.urls import path

from apps.customers import api

app_name = "customers_api"

urlpatterns = [
    path("customers", api.customers, name="list"),
    path("customers/import", api.imports, name="import"),
    path("customers/<path:external_id>", api.one_customer, name="one"),
]
