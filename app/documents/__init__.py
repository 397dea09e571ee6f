"""Documents: where they come from, and the text in them. Knows nothing about jobs.

reader      text of a document, wherever it is: the door for a kind
model       what a source and a text are; codes says why there may be none
fetch       http(s), past the guard of addresses
local       files under the roots that the settings name
uploads     bytes that a tenant has sent, kept in Postgres for a while (store, store.sql)
extractor   a document into a child process, and text or a code out of it
child       that process; formats/ is loaded there and nowhere else
"""
