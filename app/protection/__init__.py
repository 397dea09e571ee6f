"""How long data is kept, and deleting it: by the clock and on request.

periods.py    How long a tenant keeps what.
prune.py      What is kept no longer goes, in the night or by hand.
tenants.py    A tenant goes with all that it has.
subjects.py   One subject goes from all that a tenant has.
stopping.py   Jobs that are to be deleted are ended first.
deletions.py  The records that prove what was deleted on request.
"""
