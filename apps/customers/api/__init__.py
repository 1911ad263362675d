"""`/api/v1/customers`: customers for programs, read page by page, put whole, imported from CSV.

A body is read exactly as a file's lines are: the same columns, the same reasons. The addresses stand in `addresses`,
what a body may say in `bodies`, what an answer says in `telling`; keys and the one form of errors in `keys`.
"""

from apps.customers.api.addresses import customers, imports, one_customer

__all__ = ["customers", "imports", "one_customer"]
