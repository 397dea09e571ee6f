"""Who may call, and what for: tenants, users, memberships and API keys.

* model      roles and the one table of what each may do; the dataclasses
* service    the use cases: sign in, check a key, create, list, revoke
* sessions   register, and refresh tokens that can be taken back
* passwords  argon2, slow on purpose
* keys       long random keys and their hash, fast on purpose
* store      the SQL

Nothing here knows HTTP or JWT: app/api turns a Login into a token, and a request into a Caller.
"""
