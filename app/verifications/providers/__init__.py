"""Who else may be asked about a subject, over HTTP: what the server's settings name, and nobody
that a request names.

* config   MUSTER_SCREENING_PROVIDERS, read and checked
* remote   one provider: time-outs, bounded retries, a circuit breaker
* yente    the words of an OpenSanctions or yente endpoint, POST /match/{dataset}
* generic  the words of any other endpoint that takes and gives JSON
* words    what they call what their hits are about
* breaker  when not to ask at all
"""
