"""The process `live`: thousands of watchers, who never hold a thread of the API.

    hub.py        what changes, read once for everybody who watches it
    topics.py     a job that somebody watches, and those who do
    following.py  what is to be sent to one of them
    sse.py        a watcher by server-sent events
    websocket.py  a watcher by WebSocket
    server.py     the HTTP server around them
    green.py      Postgres and Redis without holding up the others
    __main__.py   the program: python -m app.live, or `muster live`

Routes, wording and errors are those of app/api; what is sent is what app/jobs/events reads.
"""
