"""One request to a model's server over the OpenAI chat protocol; extra ``llm``. No prompts here."""
