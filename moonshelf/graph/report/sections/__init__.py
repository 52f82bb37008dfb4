"""The parts of the page, each a function from findings to HTML."""
