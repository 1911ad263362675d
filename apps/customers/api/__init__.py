"""`/api/v1/customers`: customers for programs, read page by page, put whole, imported from CSV."""

from apps.customers.api.addresses import customers, imports, one_customer

__all__ = ["customers", "imports", "one_customer"]
