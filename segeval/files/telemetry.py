"""What the runner measured on a machine during a replay or benchmark: power, temperatures, clocks, throttling."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

Count = Annotated[int, Meta(ge=0)]
NotAvailable = Annotated[str, Meta(pattern="^not available")]
"""Text in the place of a measurement, with the reason after a colon."""


@dataclass(frozen=True)
class Power:
    """Power over a window, W.

    Attributes:
        quantity: what it is called.
        rails: whose sum it is.
        samples: it is made from.
        seconds: between the first and the last of them.
    """

    quantity: str
    rails: tuple[str, ...]
    mean_w: float
    least_w: float
    most_w: float
    samples: Count
    seconds: float


@dataclass(frozen=True)
class Spread:
    """The values of one sensor over a window."""

    first: float
    least: float
    median: float
    most: float


@dataclass(frozen=True)
class Overhead:
    """What watching cost: the shares of the time during which it was reading sensors, and for which it used a CPU."""

    reading: float
    cpu: float


@dataclass(frozen=True)
class Telemetry:
    """A machine over a window.

    Attributes:
        source: where power comes from.
        power: of the module, as is energy.
        board_power: of module and carrier board, None where nothing measures it (Thor's VIN does).
        rails_mw, temperatures_c, clocks_mhz, cooling: by sensor; what was unreadable is absent.
        memory_mb: the most in use.
        events: over-current events in it, by counter.
        power_modes: in the order in which they were seen.
        period_s: between two samples.
    """

    source: str
    power: Power | NotAvailable
    rails_mw: Mapping[str, Spread]
    temperatures_c: Mapping[str, Spread]
    clocks_mhz: Mapping[str, Spread]
    memory_mb: float | None
    cooling: Mapping[str, Spread]
    events: Mapping[str, float]
    power_modes: tuple[str, ...]
    samples: Count
    seconds: float
    period_s: float
    overhead: Overhead
    board_power: Power | NotAvailable | None = None
