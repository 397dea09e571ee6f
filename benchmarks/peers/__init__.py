"""The same work done by others: one module for each task queue, with the same four names.

    WORKERS   commands that start its worker processes, two in all
    READY     what a worker writes when it is ready
    publish   hands over the chunks of a job whose items are stored, and what closes it
    (tasks)   call `work.run_chunk` and `work.finish`

and where it needs them PREPARE, a command run before its workers, and `close`, for its publisher.

Modules read DATABASE_URL and PEER_REDIS_URL when they are imported, in the publisher as in the
workers. Each is set up as its own documentation shows, with nothing tuned in anybody's favour.
"""
