"""The builtin backend: rules and statistics of the corpus itself; offline and deterministic.

segments -> quantities, names, guards -> induce (schema) -> extract (facts)
"""
