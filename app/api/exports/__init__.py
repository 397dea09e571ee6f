"""A finished job's results as a file for people: signed links, and the formats behind them.

* `links`   a link that is good for an hour, signed by us
* `report`  what a report says, whatever it is written as
* `html`    the report as a page that needs nothing else
* `pdf`     the report as PDF
"""
