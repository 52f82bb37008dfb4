"""The report of a graph: one page that shows the ontology, the facts with the words that state
them, what was reached and what was not, and what needs a person.

    gather (state, store, history -> findings)  ->  sections (findings -> HTML)  ->  page

Findings are plain records, bounded; the sections know nothing of files or stores.
"""
