"""The system map: customers → journeys → services → dependencies.

`asked` says what of it is looked at; `asking`, `running` and `standing` ask the tables for customers, for
journeys and services, and for what they stand on, `health` how each is now, and `reading` puts them
together, in a fixed number of queries. `shape` chooses what is shown by itself and what is bundled,
`layout` sets it on a page, `listing` tells it as a list. The last three know no tables.
"""
