"""Assembling the web application."""

from __future__ import annotations

from flask import Flask

from app import broker_check, logs
from app.api import (
    documents,
    documents_auth,
    documents_events,
    documents_history,
    documents_single,
    errors,
    faces,
    faces_auth,
    faces_organizations,
    faces_search,
    health,
    idempotency,
    job_events,
    jobs,
    kyc,
    kyc_auth,
    kyc_exclusions,
    kyc_exports,
    kyc_lists,
    kyc_watchlists,
    limits,
    metrics,
    openapi,
    proxies,
    streams,
    tokens,
    verifications,
    verifications_monitoring,
)
from app.api.context import attach
from app.resources import Resources
from app.settings import Settings, parse_networks


def create_app(settings: Settings | None = None) -> Flask:
    """Return the WSGI application; with no settings given, from the environment."""
    if settings is None:
        settings = Settings.from_env()
        logs.configure(settings.log_level)
        broker_check.at_start(settings)
    app = _create(settings)
    dialect_a = (
        *(kyc_auth.bp, kyc.bp, kyc_lists.bp, kyc_exclusions.bp, kyc_watchlists.bp),
        kyc_exports.bp,
    )
    dialect_d = (documents_auth.bp, documents.bp, documents_single.bp, documents_history.bp)
    dialect_b = (verifications.bp, verifications_monitoring.bp)
    dialect_c = (faces_auth.bp, faces_organizations.bp, faces.bp, faces_search.bp)
    dialects = (*dialect_a, *dialect_b, *dialect_c, *dialect_d)
    for blueprint in (health.bp, metrics.bp, openapi.bp, jobs.bp, *_WATCHED, *dialects):
        app.register_blueprint(blueprint)
    return app


def create_live(settings: Settings) -> Flask:
    """Return the application of the process `live`: what can be watched, and its health."""
    app = _create(settings)
    app.before_request(streams.take_token)
    for blueprint in (health.bp, *_WATCHED):
        app.register_blueprint(blueprint)
    return app


#: Asked by machines all the time, and telling nothing about anybody: not counted.
_ALWAYS = (health.bp, metrics.bp, openapi.bp)
#: The same routes in both.
_WATCHED = (job_events.bp, documents_events.bp)


def _create(settings: Settings) -> Flask:
    app = Flask("app", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    # Flask's own answer to OPTIONS is an empty HTML page, and needs no token.
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.json.sort_keys = False  # type: ignore[attr-defined]  # the default provider has it
    # A redirect would be an HTML page.
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    tokens.configure(app, settings)
    resources = Resources.open(settings)
    attach(app, resources)
    limits.attach(app, resources, exempt=_ALWAYS)
    errors.register(app)
    idempotency.register(app)
    believed = parse_networks(settings.proxies)
    app.wsgi_app = proxies.wrap(app.wsgi_app, believed)  # type: ignore[assignment, method-assign]  # as Flask's documentation says
    return app
