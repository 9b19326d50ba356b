"""What the stages write and read: sets, bundles, replays, benchmarks and experiments, and the folders they lie in."""
