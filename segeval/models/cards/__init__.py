"""Model cards: one TOML file says what a network of the user's is, so that nobody has to write code for it."""

from segeval.models.cards.card import EXAMPLE, ModelCard, Source
from segeval.models.cards.card_reading import read_card
from segeval.models.cards.opening import identity, is_card, load_card, open_card, recorded_files

__all__ = [
    "EXAMPLE",
    "ModelCard",
    "Source",
    "identity",
    "is_card",
    "load_card",
    "open_card",
    "read_card",
    "recorded_files",
]
