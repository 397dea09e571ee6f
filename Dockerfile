# One image for every program: docker-compose.yml and the Procfile say which command each runs.
FROM python:3.12-slim

ENV PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    MUSTER_INDEX_DIR=/var/lib/muster/index \
    MUSTER_BEAT_SCHEDULE=/var/lib/muster/schedule

RUN useradd --system --uid 10001 --home-dir /var/lib/muster --create-home muster

WORKDIR /srv/muster
# Every package by its hash, from wherever pip finds it; `python3 dev.py lock` writes the file. All
# of them are wheels: no compiler is needed, and none is left behind.
COPY requirements.lock ./
RUN pip install --only-binary=:all: --require-hashes -r requirements.lock
COPY pyproject.toml setup.cfg README.md LICENSE ./
COPY app ./app
COPY schemas ./schemas
COPY workers ./workers
RUN pip install --no-index --no-deps --no-build-isolation .
COPY deploy ./deploy
COPY Procfile ./

USER muster
# The web process; the others are given as `command`.
CMD ["sh", "-c", "exec gunicorn --preload --no-control-socket --worker-class app.api.server.Worker --workers ${MUSTER_WEB_WORKERS:-2} --threads ${MUSTER_WEB_THREADS:-8} --bind ${MUSTER_BIND:-127.0.0.1}:${PORT:-8000} \"app.factory:create_app()\""]
