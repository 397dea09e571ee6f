"""Celery's side of the platform: two tasks for every pass, and a sweep for what they miss."""
