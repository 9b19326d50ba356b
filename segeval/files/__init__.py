"""What the stages write and read: sets, bundles, replays, benchmarks and experiments, and their folders."""
