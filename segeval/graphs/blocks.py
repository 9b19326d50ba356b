"""Blocks: groups of a network's quantizable operators by the module they belong to.

Module paths are what the exporter writes into node names: ``/…/encoder/level2/level2.0/c1/conv/Conv``. A module that
holds more than an eighth of the operators is divided into its own modules, so that networks as different as ESPNet
and Fast-SCNN both have a dozen or two.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from onnx import ModelProto

from segeval.errors import EngineError
from segeval.graphs.export import network_of

SHARE = 8
"""A block holds at most one in this number of operators, if it can be divided."""

MOST_BLOCKS = 24
"""With more modules the ranking would be hard to read; then consecutive operators form the blocks."""

RUNS = 12
"""Blocks of consecutive operators, where the names say nothing."""

MOST_CHARACTERS = 60
"""Of a block's name, which is part of a file's name."""

Path = tuple[str, ...]
Nodes = frozenset[str]


def blocks(fp32: ModelProto, op_types: Sequence[str]) -> dict[str, Nodes]:
    """Names of the nodes to quantize in each block, in the order of the network. Every such node is in one block.

    The names of blocks may be part of a file's name. Raises EngineError for nodes that cannot be told apart.
    """
    names = quantizable(fp32, op_types)
    found = dict(divided({name: tuple(filter(None, name.split("/"))) for name in names}, len(names)))
    if len(found) > MOST_BLOCKS:
        return runs(names)
    return dict(zip(short_names(list(found)), found.values(), strict=True))


def quantizable(fp32: ModelProto, op_types: Sequence[str]) -> list[str]:
    """Names of a network's nodes of these types, in order. Raises EngineError if two have the same or one has none."""
    names = [node.name for node in network_of(fp32).graph.node if node.op_type in op_types]
    name, count = Counter(names).most_common(1)[0] if names else ("", 0)
    if count > 1 or "" in names:
        what = f"{count} operators of the exported network have the name {name!r}"
        raise EngineError(what, "its blocks cannot be distinguished; leave out --attribute")
    return names


def divided(paths: Mapping[str, Path], total: int, depth: int = 0) -> Iterator[tuple[Path, Nodes]]:
    """Groups of nodes that share their path up to `depth` or, where those are too large, further down.

    Args:
        paths: by node, ending in the node's own name.
        total: nodes of the network.
        depth: names of a path that are looked at.
    """
    groups: dict[Path, dict[str, Path]] = {}
    for name, path in paths.items():
        groups.setdefault(path[: depth + 1], {})[name] = path
    for shared, group in groups.items():
        # Names that differ in their slashes alone, as /a/b and a//b, have one path that ends here.
        goes_on = any(len(path) > len(shared) for path in group.values())
        if goes_on and len(group) > 1 and len(group) * SHARE > total:
            yield from divided(group, total, depth + 1)
        else:
            yield shared, frozenset(group)


def runs(names: Sequence[str]) -> dict[str, Nodes]:
    """Consecutive nodes, in blocks of equal size as far as possible, named after their places: ``nodes-1-5``."""
    ends = [round(index * len(names) / RUNS) for index in range(RUNS + 1)]
    return {f"nodes-{first + 1}-{end}": frozenset(names[first:end]) for first, end in pairwise(ends)}


def short_names(paths: Sequence[Path]) -> list[str]:
    """The end of each path that tells it from the others, fit for a file's name where capitals do not count."""
    names: list[str] = []
    for path in paths:
        lengths = range(1, len(path) + 1)
        apart = (n for n in lengths if not any(path[-n:] == other[-n:] for other in paths if other != path))
        name = plain(".".join(path[-next(apart, len(path)) :]))[:MOST_CHARACTERS]
        while name.lower() in (taken.lower() for taken in names):
            name += "_"
        names.append(name)
    return names


def plain(text: str) -> str:
    """A text with nothing in it that the name of a file may not have."""
    return re.sub(r"[^A-Za-z0-9_.]+", "_", text).strip(".") or "_"
