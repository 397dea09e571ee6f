"""How well the engine does on pairs that people have labelled.

* `labelled`   files of labelled rows, as docs/screening.md describes them
* `measure`    precision, recall, F1 and wrong alerts per query, at any threshold
* `pairs`      score each pair of a file by itself
* `lists`      screen each query of a file against whole lists
"""
