"""Networks, scenes and sets as the tests of graphs have them."""

from tests.graphs.conftest import dataset_root, exported, make_set, pictures, trained, victims

__all__ = ["dataset_root", "exported", "make_set", "pictures", "trained", "victims"]
