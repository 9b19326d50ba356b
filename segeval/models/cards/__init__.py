"""Model cards: a TOML file describes a user's network, so that no code is needed for it."""

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
