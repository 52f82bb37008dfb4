"""RDF, written by code alone: ontology, facts, evidence, shapes, the store, checks and exports.

The ontology object is the one source of ``ontology.ttl`` and ``shapes.ttl``; facts and their
evidence go into two named graphs a document. No blank node is ever written, every IRI is minted
here, and no text reaches SPARQL.
"""
