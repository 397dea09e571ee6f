"""What happened to a job, in order: the table job_events, and how a reader sees it.

    model.py    an event, and how rows of the table become events
    store.py    the SQL
    reading.py  the events of a job from some place on, however the reader came there
    signals.py  Redis saying that a job has changed

Rows are written by the statements of app/jobs/store.sql that move and count.
"""
