"""One key, one effect: requests that a client may send again, whatever became of the first.

Postgres is the truth. A request under a key claims the key's row before it does anything; each of
its transactions that writes says so in the row as it commits, and is undone if another request has
taken the key over by then. So whatever is killed, and whenever: what the row says was done was
done, once, and what it does not say was not.

    store.py    The rows.
    claims.py   Taking a key, holding it, and what is left when its request has ended.
"""
