"""What Muster costs: `python3 dev.py bench [NAME ...] [--json]`.

    submit        POST of 10,000 entities to the answer, rows durable          submit.py
    job           the same to completed, two workers, a real list              job.py
    overhead      10,000 items of no work, beside a bare chord and others      overhead.py
    polls         status polls per second of one web process                   polls.py
    memory        proportional memory of each web and worker process           memory.py
    extraction    documents per second through the process that reads them     extraction.py
    first_result  clone to first result                                        first_result.py

Each checks that the answers are right, measures a peer or a limit in the same run, and says under
which conditions. `stage.py` starts durable servers and the programs of the Procfile, and ends them;
`figure.py` says what came of it; `peers/` holds the same work done by others.
"""
