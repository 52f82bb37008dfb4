"""How good a graph is: sizes beside the paper's, facts against hand-made labels, what a text says
and the graph does not, soundness, redundancy, stability. Every figure is a function of records."""
