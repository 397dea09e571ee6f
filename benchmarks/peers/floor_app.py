"""The floor: what Flask, flask-jwt-extended, Redis and Postgres cost without Muster.

One route answers a poll from one HGETALL, the other reads a batch with json.loads and writes it by
COPY. Started by the same gunicorn with the same options as Muster.
"""

from __future__ import annotations

import json
import os
from io import BytesIO
from uuid import uuid4

import redis
from flask import Flask, Response, jsonify, request
from flask_jwt_extended import JWTManager, jwt_required

from benchmarks.peers import work


def create_app() -> Flask:
    app = Flask("floor", static_folder=None)
    app.config["JWT_SECRET_KEY"] = os.environ["MUSTER_JWT_SECRET"]
    # The tokens of Muster say whom they are meant for.
    app.config["JWT_DECODE_AUDIENCE"] = "muster-api"
    JWTManager(app)
    client = redis.Redis.from_url(os.environ["REDIS_URL"], decode_responses=True)

    @app.get("/jobs/<job_id>")
    @jwt_required()
    def poll(job_id: str) -> Response:
        return jsonify(client.hgetall(f"floor:{job_id}"))

    @app.post("/jobs")
    @jwt_required()
    def submit() -> Response:
        entities = json.loads(request.get_data())["entities"]
        job_id = str(uuid4())
        lines = (
            f"{job_id}\t{position}\t{entity['entity_id']}\t{json.dumps(entity['subject'])}\n"
            for position, entity in enumerate(entities)
        )
        # JSON of json.dumps is ASCII, and holds a backslash wherever COPY wants two.
        raw = "".join(lines).replace("\\", "\\\\").encode()
        with work.open_connection() as connection, connection.cursor() as cursor:
            cursor.copy_expert(
                "COPY peer_items (job_id, position, ref, payload) FROM STDIN", BytesIO(raw)
            )
        return jsonify(job_id=job_id)

    return app
