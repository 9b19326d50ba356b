"""The state of the machine while an engine runs: power, temperatures, clocks, memory, throttling."""

from segeval_runner.telemetry.monitor import Monitor
from segeval_runner.telemetry.source import Machine

__all__ = ["Machine", "Monitor"]
