"""The networks that are measured: those that come with segeval."""

ESPNET, FAST_SCNN = "espnet-synthetic", "fast-scnn-synthetic"
