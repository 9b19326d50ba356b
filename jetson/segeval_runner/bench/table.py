"""A benchmark as plain text, narrow enough for a terminal of default size."""

from __future__ import annotations

from typing import Any, Dict, List, Sequence

from segeval_runner.bench.layers import is_argmax

SLOWEST, LONGEST = 3, 40
"""Layers that are named, and characters of a name."""
HEADER = ("engine", "scenario", "p50 ms", "p90 ms", "p99 ms", "with I/O", "images/s", "W", "J/image")


def table(record: Dict[str, Any]) -> str:
    """Every run on a line, then what is to be known about them.

    Args:
        record: of bench.json.
    """
    runs = [*record["runs"], *({**run, "scenario": "no argmax"} for run in record["without_argmax"])]
    rows = [HEADER, *(row(run) for run in runs)]
    widths = [max(len(cells[column]) for cells in rows) for column in range(len(HEADER))]
    lines = [aligned(cells, widths) for cells in rows]
    lines.insert(1, "-" * max(map(len, lines)))
    return "\n".join([*lines, "", *notes(record, runs)])


def aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Names to the left, numbers to the right."""
    names = [cell.ljust(width) for cell, width in zip(cells[:2], widths)]
    return "  ".join(names + [cell.rjust(width) for cell, width in zip(cells[2:], widths[2:])])


def row(run: Dict[str, Any]) -> List[str]:
    """One run. "-": not supported by the number of calls, or not available; the notes say which."""
    engine, energy = run["latency"].get("engine", {}), run["energy"]
    reading = run["latency"].get("with_io", {})
    measured = isinstance(energy, dict)
    return [
        run["engine"],
        run["scenario"],
        *(milliseconds(engine, name) for name in ("p50", "p90", "p99")),
        milliseconds(reading, "p50"),
        "{:.1f}".format(run["images_per_second"]["with_io"]),
        "{:.2f}".format(energy["mean_w"]) if measured else "-",
        "{:.4f}".format(energy["gross_j_per_image"]) if measured else "-",
    ]


def milliseconds(percentiles: Dict[str, Dict[str, float]], name: str) -> str:
    """A percentile, if there is one."""
    return "{:.2f}".format(percentiles[name]["ms"]) if name in percentiles else "-"


def notes(record: Dict[str, Any], runs: List[Dict[str, Any]]) -> List[str]:
    """What the numbers are, why some are missing, and every doubt.

    Args:
        record: bench.json.
        runs: those of the table.
    """
    rules = record["rules"]
    least = "preset {}: at least {:g} s, {} calls (latency) or {} images (offline, throughput)"
    lines = [least.format(record["preset"], rules["seconds"], rules["calls"], rules["images"])]
    lines.append("offline: one call after the other; throughput: the next call is queued while one computes")
    lines.append("p50 with I/O: also reading the images and copying the labels; images/s: by the clock on the wall")
    if record["without_argmax"]:
        lines.append("no argmax: latency of the network alone; no labels, whose memory is copied back all the same")
    lines += [layer_note(entry) for entry in record["layers"]]
    powers: Dict[str, List[str]] = {}
    for run in runs:
        powers.setdefault(power_note(run), []).append("{} {}".format(run["engine"], run["scenario"]))
    for note, names in powers.items():
        lines.append(note if len(powers) == 1 else "{}: {}".format(", ".join(names), note))
    for run in runs:
        title = "{} {}".format(run["engine"], run["scenario"])
        lines += ["! {}: {}: {}".format(title, each["kind"], each["detail"]) for each in run["flags"]]
    return lines


def power_note(run: Dict[str, Any]) -> str:
    """What power is here, or that there is none."""
    power, energy = run["telemetry"]["power"], run["energy"]
    if isinstance(energy, str) or isinstance(power, str):
        return "power and energy {}".format(energy if isinstance(energy, str) else power)
    without = "" if energy["idle_w"] is not None else "; {}".format(energy["note"])
    said = "W: {} ({}); J/image: gross, of that power{}".format(power["quantity"], " + ".join(power["rails"]), without)
    board = run["telemetry"].get("board_power")
    if not isinstance(board, dict):
        return said
    return "{}; {} ({}): {:.2f} W".format(said, board["quantity"], " + ".join(board["rails"]), board["mean_w"])


def layer_note(entry: Dict[str, Any]) -> str:
    """How much of an engine's time ArgMax takes, and its slowest layers."""
    layers = entry["layers"]
    if not layers:
        return "{} layers: the engine told of none".format(entry["engine"])
    total = sum(layer["ms"] for layer in layers)
    argmax = sum(layer["ms"] for layer in layers if is_argmax(layer["name"], layer["kind"]))
    slowest = sorted(layers, key=lambda layer: -float(layer["ms"]))[:SLOWEST]
    said = "{} layers: {:.2f} of {:.2f} ms of a profiled call in {}, of it {:.2f} ms ArgMax; slowest: {}"
    named = "; ".join("{} {:.2f}".format(layer["name"][:LONGEST], layer["ms"]) for layer in slowest)
    return said.format(entry["engine"], total, entry["call_ms"], len(layers), argmax, named)
