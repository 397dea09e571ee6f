"""Who is verified and screened again and again: dialect B's side of the platform, without HTTP.

* model       verifications, stakeholders, runs, screenings
* service     the use cases: create, read, list, cancel
* dispatch    how a run begins, and the gate that lets one in at a time
* subjects    verifications as the screening engine takes them
* findings    what came of one subject: hits by source, sources that answered and that did not
* risk        the rules by which hits become a risk
* conclusion  what a run leaves behind when it completes
* providers/  who else may be asked, over HTTP
* record      a verification to be read without us, by an auditor
* store       the SQL
"""
