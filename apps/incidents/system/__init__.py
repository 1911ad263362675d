"""The system map: customers → journeys → services → dependencies.

`reading` asks the tables in a fixed number of queries, `health` says how each is now, `shape` chooses what
is shown by itself and what is bundled, `layout` sets it on a page. The last two know no tables.
"""
