"""What a customer should do about an error, by kind of customer; shown at the moment of the error.

`queries.advice_for` answers for one code and kind: what staff wrote, else what comes with the portal
(`defaults`). `errors` turns advice into the page, JSON or text of `GET /errors/<code>`; it needs no
database, so that the status page's files can serve the same answer when everything else is down.
"""
