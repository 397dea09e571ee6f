"""Tags for documents: language, categories, entities, keyphrases. Knows nothing about jobs.

    model.py       What a document and a tag are.
    config.py      What a caller may ask for, checked without loading an engine.
    taxonomy.py    What a taxonomy is; taxonomies/ holds those of our own.
    text.py        Folding that keeps every offset, words and sentences.
    words.py       Stop words and stems, by language.
    language.py, keyphrases.py, matching.py, entities.py, spacy_entities.py
                   One part of the engine each.
    engine.py      Puts the parts together: the only module that callers need beside config.
    providers.py, remote.py, timed.py, answers.py, backoff.py
                   A model behind an OpenAI-compatible endpoint, in place of our keyphrases.

Deterministic: the same text, configuration and version give the same tags, in the same order. Needs
the extra `[documents]`, of which only config, model, taxonomy and providers do without.
"""
