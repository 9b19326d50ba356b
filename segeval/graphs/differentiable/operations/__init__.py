"""What each operator computes: builders from a node to a function of its inputs, by kind."""
