"""What changes, read once for everybody who watches it.

A slow client costs nothing but its own time (topics.py), and nobody misses or repeats an event,
whatever becomes of Redis.

Redis says which jobs have changed (one subscription for the process). It may be away or lose a
message, so the versions of all watched jobs are looked at now and then in one query, and more
often while it is away.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from uuid import UUID

import gevent
import redis
from gevent.event import Event as Flag
from gevent.lock import BoundedSemaphore

from app.db import Cursor, Database
from app.errors import DatabaseUnavailable, JobNotFound
from app.jobs import store as jobs
from app.jobs.events import reading, store
from app.jobs.events.model import ALL_TYPES, EventType, JobEvent
from app.jobs.events.signals import listen
from app.jobs.model import Job
from app.live.topics import PAGE, REST_SECONDS, Topic, Watcher

log = logging.getLogger(__name__)

#: Seconds between two looks at the versions of all watched jobs, and while Redis is away.
LOOK_SECONDS = 5.0
LOOK_SECONDS_ALONE = 1.0
#: Seconds between two reads: what changes meanwhile is read together.
GAP_SECONDS = 0.05
#: Watchers who may read from Postgres at a time; the shared reader has a connection for itself.
READERS = 4


class Hub:
    """All topics of the process. `start` before the first watcher, `stop` at the end."""

    def __init__(self, db: Database, client: redis.Redis) -> None:
        self._db = db
        self._redis = client
        self._topics: dict[UUID, Topic] = {}
        #: Jobs of which something newer is known to be there, with the version.
        self._changed: dict[UUID, int] = {}
        self._news = Flag()
        #: Jobs whose version is to be looked at, and whether those of all are.
        self._unsure: set[UUID] = set()
        self._look_now = False
        self._hears_redis = False
        self._is_over = False
        self._slots = BoundedSemaphore(READERS)
        self._greenlets: list[gevent.Greenlet[..., None]] = []

    @property
    def topics(self) -> int:
        return len(self._topics)

    @property
    def watchers(self) -> int:
        return sum(len(topic.watchers) for topic in self._topics.values())

    def start(self) -> None:
        self._greenlets = [gevent.spawn(self._listen), gevent.spawn(self._run)]

    def stop(self) -> None:
        """Let every watcher end; each can go on elsewhere from where it is."""
        self._is_over = True
        # Without waiting: psycopg2 takes being killed for the end of its connection.
        gevent.killall(self._greenlets, block=False)
        for topic in self._topics.values():
            for watcher in topic.watchers:
                watcher.is_over = True
                watcher.wake.set()

    # For watchers

    def watch(self, job: Job, *, after: int, with_items: bool) -> Watcher:
        """Watch a job, as it has just been read, from behind `after` on."""
        topic = self._topics.get(job.id)
        if topic is None:
            topic = self._topics[job.id] = Topic(job)
            if job.state.is_final:
                # Its end counts as one more.
                topic.seq = topic.floor = job.version + 1
            # It may have changed since it was read.
            self._unsure.add(job.id)
            self._news.set()
        if with_items and not topic.with_items:
            # What lies there was read without items.
            topic.drop()
        watcher = Watcher(
            topic, after, with_items=with_items, read=self._read_for, leave=self._leave
        )
        topic.watchers.add(watcher)
        return watcher

    def _leave(self, watcher: Watcher) -> None:
        topic = watcher.topic
        topic.watchers.discard(watcher)
        if not topic.watchers and self._topics.get(topic.job.id) is topic:
            del self._topics[topic.job.id]

    def _read_for(self, watcher: Watcher) -> list[JobEvent]:
        """Return a page of events behind the watcher's place, waiting for a turn."""
        with self.reading() as tx:
            job = jobs.load_job(tx, watcher.job.id)
            types = ALL_TYPES if watcher.with_items else _WITHOUT_ITEMS
            return reading.read(
                tx, job, after=watcher.seq, limit=PAGE, types=types, detailed=is_detailed(job)
            )

    @contextmanager
    def reading(self) -> Iterator[Cursor]:
        """A transaction, for whoever's turn it is. Raises DatabaseUnavailable."""
        with self._slots, self._db.transaction() as tx:
            yield tx

    # The process's own

    def _listen(self) -> None:
        while not self._is_over:
            try:
                for change in listen(self._redis):
                    if change is None:
                        # What was said while we did not hear it.
                        self._hears_redis = self._look_now = True
                        self._news.set()
                    elif change[0] in self._topics:
                        self._note(*change)
            except redis.RedisError as error:
                if self._hears_redis:
                    log.warning("live.redis_away", extra={"reason": type(error).__name__})
                self._hears_redis = False
                self._news.set()
            except Exception as error:
                # A bug of ours, or somebody else's message: the looks go on.
                self._hears_redis = False
                log.error("live.listening_failed", exc_info=error)
            gevent.sleep(REST_SECONDS)

    def _note(self, job_id: UUID, version: int) -> None:
        topic = self._topics.get(job_id)
        if topic is not None and version > topic.seq:
            self._changed[job_id] = max(version, self._changed.get(job_id, 0))
            self._news.set()

    def _run(self) -> None:
        looked_at = time.monotonic()
        while not self._is_over:
            # Not by how long nothing came: where much happens, something always does.
            every = LOOK_SECONDS if self._hears_redis else LOOK_SECONDS_ALONE
            self._news.wait(max(0.0, looked_at + every - time.monotonic()))
            self._news.clear()
            if time.monotonic() >= looked_at + every:
                self._look_now = True
            if self._look_now:
                looked_at = time.monotonic()
            try:
                self._look()
                if self._changed:
                    self._read()
            except DatabaseUnavailable:
                # Nothing is lost by it: whatever there is, is found when it is back.
                self._look_now = True
                log.warning("live.database_away", extra={"watchers": self.watchers})
                gevent.sleep(REST_SECONDS)
                self._news.set()
            except Exception as error:
                # A bug of ours must not leave everybody in the dark.
                self._look_now = True
                log.error("live.reading_failed", exc_info=error)
                gevent.sleep(REST_SECONDS)
            gevent.sleep(GAP_SECONDS)

    def _look(self) -> None:
        """Ask Postgres for the versions of the jobs that may have changed."""
        # Whatever is added while Postgres is asked, is for the next time.
        unsure = set(self._topics) if self._look_now else self._unsure & self._topics.keys()
        self._look_now, self._unsure = False, set()
        if not unsure:
            return
        with self._db.transaction() as tx:
            versions = store.list_versions(tx, unsure)
        for job_id, (version, is_final) in versions.items():
            # The end of a job counts as one more than its last version.
            self._note(job_id, version + is_final)

    def _read(self) -> None:
        """Read what is new of the jobs that have changed, and wake who watches them."""
        changed, self._changed = self._changed, {}
        wanted = {
            topic: version
            for job_id, version in changed.items()
            if (topic := self._topics.get(job_id)) is not None and version > topic.seq
        }
        if not wanted:
            return
        try:
            found = self._events(wanted)
        except DatabaseUnavailable:
            self._changed = changed | self._changed
            raise
        for topic, (events, is_whole, with_items) in found.items():
            version = wanted[topic]
            topic.add(events, upto=version if is_whole else events[-1].seq, with_items=with_items)
            topic.forget()
            self._note(topic.job.id, version)

    def _events(
        self, wanted: Mapping[Topic, int]
    ) -> dict[Topic, tuple[list[JobEvent], bool, bool]]:
        """Return what is new of each, whether that is all, and whether items have their rows."""
        found = {}
        with self._db.transaction() as tx:
            rows = store.list_events(
                # A row is one event at least; the first may be the one that is known.
                tx,
                [(topic.job, topic.seq) for topic in wanted],
                limit=PAGE + 1,
            )
            for topic, version in wanted.items():
                job, with_items = topic.job, topic.with_items
                types = ALL_TYPES if with_items else _WITHOUT_ITEMS
                events = reading.since(job, rows[job.id], after=topic.seq, limit=PAGE, types=types)
                last = events[-1].seq if events else topic.seq
                is_short = len(events) < PAGE and last < version
                if is_short or any(event.type is EventType.STATE for event in events):
                    topic.job = _reread(tx, job)
                if is_short and topic.job.state.is_final:
                    # More came meanwhile, or it ended without a word: now everything is there.
                    events = reading.read(
                        tx,
                        topic.job,
                        after=topic.seq,
                        limit=PAGE,
                        types=types,
                        detailed=is_detailed(job),
                    )
                else:
                    events = reading.with_items(tx, job, events, detailed=is_detailed(job))
                found[topic] = events, len(events) < PAGE, with_items
        return found


def _reread(tx: Cursor, job: Job) -> Job:
    try:
        return jobs.load_job(tx, job.id)
    except JobNotFound:
        # Deleted under the eyes of those who watch it.
        return job


_WITHOUT_ITEMS = ALL_TYPES - {EventType.ITEM}


def is_detailed(job: Job) -> bool:
    """Whether its dialect shows what came of an item as soon as it is known."""
    return job.dialect == "documents"
