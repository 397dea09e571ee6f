"""Verifications that are screened again by themselves: by the clock, and when lists change.

* `model`    how often, and what changed between two runs
* `store`    in Postgres
* `service`  what callers may ask
* `source`   the population, for `app.monitoring.updates`
* `clock`    what beat looks for
"""
