"""One page over many runs: reports that lie in folders, side by side."""
