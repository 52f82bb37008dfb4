"""One script a claim; see benchmarks/README.md."""
