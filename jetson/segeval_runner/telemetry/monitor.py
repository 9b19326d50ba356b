"""Telemetry while something runs."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any, Dict, List, Optional, Tuple, Type

from segeval_runner.telemetry.energy import NOT_AVAILABLE
from segeval_runner.telemetry.rails import board_rails
from segeval_runner.telemetry.reading import Row, names
from segeval_runner.telemetry.sampler import Sampler
from segeval_runner.telemetry.source import BOARD, NO_SOURCE, Machine, Source
from segeval_runner.telemetry.summary import increases, power_modes, power_record, rounded, spread


class Monitor:
    """Watches a machine while it is entered. period_s: between two samples."""

    def __init__(self, machine: Machine, period_s: float) -> None:
        self._source = Source(machine, period_s)
        self._sampler = Sampler(self._source.read, period_s)

    def __enter__(self) -> Monitor:
        self._started = time.monotonic()
        self._sampler.__enter__()
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        try:
            self._sampler.__exit__(kind, error, trace)
        finally:
            self._source.close()

    def rows(self, start: float, end: float) -> List[Row]:
        """What was read between two moments of time.monotonic()."""
        return self._sampler.rows(start, end)

    def rails(self, rows: List[Row]) -> Tuple[str, Tuple[str, ...]]:
        """What the power of the machine is called here, and the rails that are summed for it; none if unknown."""
        return self._source.quantity(tuple(names(rows, "rails_mw")))

    def why_no_power(self, rows: List[Row]) -> Optional[str]:
        """Why there is no power whatever the window, or None. Begins with NOT_AVAILABLE."""
        found = names(rows, "rails_mw")
        if self._source.name == NOT_AVAILABLE:
            return "{}: {}".format(NOT_AVAILABLE, NO_SOURCE)
        if found and not self.rails(rows)[1]:
            return "{}: no sum of the rails {} is known to be the module's".format(NOT_AVAILABLE, ", ".join(found))
        return None

    def summary(self, start: Optional[float] = None, end: Optional[float] = None) -> Dict[str, Any]:
        """What a record keeps of the window between two moments, or of everything so far."""
        start, end = self._started if start is None else start, time.monotonic() if end is None else end
        rows = self.rows(start, end)
        quantity, rails = self.rails(rows)
        board = board_rails(names(rows, "rails_mw"))
        return {
            "source": self._source.name,
            "power": self.why_no_power(rows) or power_record(rows, quantity, rails),
            "board_power": power_record(rows, BOARD, board) if board else None,
            "rails_mw": spread(rows, "rails_mw"),
            "temperatures_c": spread(rows, "temperatures_c"),
            "clocks_mhz": spread(rows, "clocks_mhz"),
            "memory_mb": max((reading.memory_mb or 0.0 for _, reading in rows), default=0.0) or None,
            "cooling": spread(rows, "cooling"),
            "events": increases(rows, "events"),
            "power_modes": power_modes(rows),
            "samples": len(rows),
            "seconds": rounded(end - start),
            "period_s": self._sampler.period_s,
            "overhead": self.overhead(),
        }

    def overhead(self) -> Dict[str, float]:
        """What watching costs: shares of the elapsed time during which it was reading, and for which it used a CPU."""
        elapsed = self._sampler.elapsed_s
        return {"reading": rounded(self._sampler.busy_s / elapsed), "cpu": rounded(self._sampler.cpu_s / elapsed)}
