"""Watching subjects for as long as they are customers: checks by the clock, and when lists change.

In reading order:

* `model`    the words: monitor, watched subject, hit, check, change
* `store`    all of them in Postgres
* `service`  what callers may ask
* `checks`   a check: who is screened, by a job, and what its results mean for the hits
* `updates`  a list has changed: whom could that concern?
* `population` what `updates` has to know of those who are watched
* `sources`  who is watched, and by whom: these monitors, and `verifications` of dialect B
* `clock`    what beat looks for: checks that ended, checks that are due, lists that changed
"""
