"""The same candidates and scores as `candidates` and `scorer`, from compiled loops: for long lists.

`scorer.score` stays the definition; what is here must equal it on every pair, which
tests/unit/screening/test_compiled.py holds it to. In reading order:

* `jit`         how a loop is compiled
* `cache`       where compiled loops are kept; `warm` fills it
* `letters`     hashes, replacements and edit distance of small ASCII words
* `tables`      the rules of `tokens` and `scorer` as arrays
* `token_keys`  the keys of a word (`tokens.keys`), as hashes
* `buckets`     a hash table that can be mapped from disk
* `vocabulary`  the words of a list, and those of them that are like a word of a query
* `matching`    the score of a query and a listed name
* `filed`       by what listed names are found, and scratch paper
* `likeness`    how alike the words of the list are to those of a query
* `bounds`      which words need not be looked up, and which names cannot reach the threshold
* `retrieval`   the listed names that reach it, of many queries in one call
* `flat`        prepared names as numbers; `asked` does it to queries, and remembers their words
* `names`       all names of one entity type: build, open, find
"""
