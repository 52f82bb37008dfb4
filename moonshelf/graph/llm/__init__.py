"""The ``llm`` backend: a model behind any server that speaks the OpenAI chat protocol.

    client (bytes) -> replies (text) -> dialect (an object) -> answers (checked) -> asking (cached)
    prompts + schema card -> propose, refine, extract -> typed records

A model gets no tools and writes no RDF. What it says is checked here for its form, and by
``validate.py`` for its truth: a fact that the text does not state is no fact.
"""
