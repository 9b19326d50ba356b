"""Accuracy beside speed, power and energy: benchmarks of the bundles whose replays are evaluated."""
