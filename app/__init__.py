"""The platform without its delivery mechanisms.

    api/        HTTP in, HTTP out. One module per dialect, and what they share.
    cli/        The command line `muster`.
    live/       The process that tells watchers: the routes of api/, served to thousands at a time.
    protection/ How long data is kept, and deleting it: by the clock and on request.
    monitoring/ Subjects that are screened again, by the clock and when lists change.
    kinds/      What each kind of job does to one item. One module per kind.
    verifications/  Who is verified, the gate, risk, audit, and providers beside our own engine.
    jobs/       The life of a job: states, SQL, live progress, dispatch, use cases.
    screening/  Names, watchlists, candidates, scores. Knows nothing about jobs.
    documents/  Where documents come from, and the text in them. Knows nothing about jobs.
    tagging/    Categories, entities and keyphrases of a text. Knows nothing about jobs.
    faces/      Faces in images, told apart, and the collections they are kept in. Likewise.
    providers/  What calls of other people's servers share: settings, time limits, trying again.
    accounts/   Tenants, users, keys, and what each may do.
    idempotency/  Keys of requests that may come again, and what became of them.
    sample/     A small watchlist and a generator of people, for the demo.

Imports point downwards in that order; `workers` is the other door into `kinds` and `jobs`, as
`api` is the first. `app` never imports `workers`: the names of the tasks are constants in
jobs/dispatch.py. tests/contract/test_layers.py holds us to it.
"""
