"""Units of product texts: what is written, which dimension it measures, exact conversion."""
