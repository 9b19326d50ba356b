"""The table of docs/zoo.md that the check writes."""

import platform
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.zoo.chain import Outcome
from segeval.files.engine_records import EngineRecord

PAGE = Path(__file__).parents[2] / "docs/zoo.md"
BEGIN, END = "<!-- networks: written by `make check-zoo` -->\n", "<!-- end of networks -->\n"
PACKAGES = (
    *("torch", "torchvision", "transformers", "segmentation-models-pytorch", "timm", "mmsegmentation", "keras"),
    *("onnxscript", "onnx", "onnxruntime", "tensorrt-rtx-cu13"),
)
HEADINGS = (
    *("card", "passed", "fp32 labels as torch %", "int8 labels as torch %", "TensorRT-RTX layers fp32, int8"),
    *("convolutions that read int8", "desktop success", "survived fp32 %", "survived int8 %", "seconds"),
)


def share(value: float | None) -> str:
    """A share in percent."""
    return "–" if value is None else f"{100 * value:.1f}"


def cells(outcome: Outcome) -> Iterator[str]:
    """One row of the table."""
    yield f"`{outcome.name}`"
    yield "no: " + "; ".join(outcome.faults).replace("|", "/") if outcome.faults else "yes"
    engines = [outcome.engines.get(precision) for precision in ("fp32", "int8")]
    for engine in engines:
        yield share(engine.parity.equal if engine is not None and engine.parity is not None else None)
    yield ", ".join(layers(engine) for engine in engines)
    yield str(in_int8(engines[1]))
    yield f"{outcome.success:.2f}"
    for precision in ("fp32", "int8"):
        yield share(outcome.survival.get(precision))
    yield f"{sum(outcome.seconds.values()):.0f}"


def layers(engine: EngineRecord | None) -> str:
    """How many layers the engine has that was built as a check."""
    return str(engine.compiled.layers) if engine is not None and engine.compiled is not None else "–"


def in_int8(engine: EngineRecord | None) -> int:
    """How many convolutions of that engine read int8."""
    found = engine.compiled.convolutions if engine is not None and engine.compiled is not None else {}
    return sum(count for types, count in found.items() if types.startswith("int8 to "))


def versions() -> str:
    """The packages that took part, as far as they are installed."""
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


def processor() -> str:
    """What /proc calls the processor, or what Python does."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())


def table(rows: Mapping[str, str]) -> str:
    """The table in Markdown, with when, where and with what it was made. rows: by card."""
    lines = [
        f"`make check-zoo`, {date.today().isoformat()}, {processor()}, one thread: {versions()}.",
        "",
        "| " + " | ".join(HEADINGS) + " |",
        "|---|---|" + "---:|" * (len(HEADINGS) - 2),
        *(rows[card] for card in sorted(rows)),
    ]
    return "\n".join(lines) + "\n"


def row(outcome: Outcome) -> str:
    """The line of a network."""
    return "| " + " | ".join(cells(outcome)) + " |"


def write_page(outcomes: Sequence[Outcome]) -> None:
    """Put the rows of some networks into the page; those of others stay."""
    before, begun, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    between, ended, after = rest.partition(END)
    assert begun and ended, f"{PAGE} lacks its marks"
    rows = {line.split("`")[1]: line for line in between.splitlines() if line.startswith("| `")}
    rows.update({outcome.name: row(outcome) for outcome in outcomes})
    PAGE.write_text(f"{before}{BEGIN}\n{table(rows)}\n{END}{after}", encoding="utf-8")
