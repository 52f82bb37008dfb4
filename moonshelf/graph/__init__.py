"""The product knowledge graph: from plain descriptions to an ontology and valid RDF, with evidence.

    documents -> sample -> propose -> gatekeeper -> refine -> gatekeeper
              -> extract -> validate -> resolve -> RDF -> SHACL -> report

After arXiv 2511.11017 (three agents: create and expand, refine, populate). Deviations, and why, are
in docs/methods.md: agents exchange typed records, code alone writes the schema and the RDF, and
every fact shows the text that states it.
"""
