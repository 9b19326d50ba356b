"""Images made for one model, shown to the others."""

from collections.abc import Sequence
from dataclasses import dataclass

from segeval.reproduce.kang2020.kang2020_records import Cell


@dataclass(frozen=True)
class Matrix:
    """One attack: rows are the victims an image was made for, columns the models it was shown to."""

    attack: str
    models: tuple[str, ...]
    rows: tuple[tuple[tuple[str, ...], tuple[Cell | None, ...]], ...]


def matrices(cells: Sequence[Cell], models: Sequence[str]) -> tuple[Matrix, ...]:
    """One matrix per attack, in the order of the cells; none for a single model."""
    together = [cell for cell in cells if cell.task is None]
    found = {(cell.attack, cell.victims, cell.model): cell for cell in together}
    if len(models) < 2:
        return ()
    return tuple(
        Matrix(
            attack,
            tuple(models),
            tuple(
                (victims, tuple(found.get((attack, victims, model)) for model in models))
                for victims in dict.fromkeys(cell.victims for cell in together if cell.attack == attack)
            ),
        )
        for attack in dict.fromkeys(cell.attack for cell in together)
    )
