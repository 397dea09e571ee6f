"""Published lists: which there are, how to read their files, how to load and fetch them.

Each format has a module of its own with `read(paths)`, which yields entries as it goes, and
`published(paths)`, when the files say so themselves. `readers` names them.
"""
