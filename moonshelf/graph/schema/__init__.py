"""The schema's own room: who may change it (gatekeeper), how it came to be (history), what models
are shown of it (card), and which documents it is learned from (sample)."""
