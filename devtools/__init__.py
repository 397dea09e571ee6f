"""What `dev.py` is made of: set-up and supervision for one machine, with nothing but Python.

- commands     one function for each command of dev.py
- environment  the virtual environment: made once, found again
- state        what is kept between runs, in .muster/
- stack        servers, migrations and programs, started in the order that is quickest
- procfile     the programs and their commands
- supervisor   starts children and tells the guard of each
- guard        a process that outlives the supervisor, and stops what it leaves behind
- processes    which process lives, and how a set of them is stopped in good order
- signals      Ctrl-C as something to wait for

Imports nothing of `app` but app.embedded, and is no part of the installed package.
"""
