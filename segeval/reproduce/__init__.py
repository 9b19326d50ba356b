"""Reproductions of papers: all stages in one directory, which can be reproduced from its own record."""

from segeval.reproduce.kang2020.image_choice import Options, resolve
from segeval.reproduce.kang2020.reproduction import Cost, Reproduction

__all__ = ["Cost", "Options", "Reproduction", "resolve"]
