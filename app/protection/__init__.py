"""How long data is kept, and deleting it: by the clock and on request.

periods.py  How long a tenant keeps what.
prune.py    What is kept no longer goes, in the night or by hand.
"""
