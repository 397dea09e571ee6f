"""Decisions of reviewers: this entity is not (or is) that entry of a list."""
