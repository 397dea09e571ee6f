"""Finding the watchlist entries that may be the subject in hand.

This package knows nothing of jobs, HTTP or Celery. In reading order:

* `model`      the words: subject, entry, match, list version
* `names`      a name as written -> tokens with weights (its word lists are in `words.json`)
* `tokens`     how alike two tokens are
* `scorer`     how alike two names are: the definition of the score, in plain Python
* `features`   what a birth date, a country or an identifier does to that score
* `index`      every entry that can reach the threshold, found without comparing with each
* `resident`   indexes on disk, shared by the worker processes of a machine
* `store`      list versions and entries in Postgres
* `lists`      publishers' files: readers, loading, fetching
"""
