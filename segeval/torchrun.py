"""Whether torchrun started this process, and which of its processes it is; known without PyTorch."""

import os


def started_by_torchrun() -> bool:
    """Whether this is one of the processes of torchrun."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def leads() -> bool:
    """Whether this process speaks for all that were started with it."""
    return not started_by_torchrun() or os.environ["RANK"] == "0"
