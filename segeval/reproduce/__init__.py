"""Reproductions of papers: the stages put together, in one directory that can be made again from itself."""

from segeval.reproduce.kang2020.image_choice import Options, resolve
from segeval.reproduce.kang2020.reproduction import Cost, Reproduction

__all__ = ["Cost", "Options", "Reproduction", "resolve"]
