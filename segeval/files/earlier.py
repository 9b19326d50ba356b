"""Names of earlier versions of segeval, translated to today's.

A corruption, that is, what a camera does to an image, was called a channel: in segeval.bundle/1, in segeval.report/1,
and in the keys of the inputs.
"""

from collections.abc import Mapping

OLD_KEY, KEY = "channel/", "corruption/"


def renamed(said: object, **names: str) -> object:
    """A JSON object with other names for some of its members, old=new. Anything else stays what it is."""
    if not isinstance(said, Mapping):
        return said
    return {names.get(name, name): value for name, value in said.items()}


def within(said: object, member: str, **names: str) -> object:
    """A JSON object whose `member`, an object or a list of them, is `renamed`."""
    if not isinstance(said, Mapping) or member not in said:
        return said
    below = said[member]
    new = [renamed(each, **names) for each in below] if isinstance(below, list) else renamed(below, **names)
    return {**said, member: new}


def of_today(said: object, before: str, now: str) -> object:
    """A JSON object of the version `before` as one of the version `now`; of any other version it stays."""
    return {**said, "schema": now} if isinstance(said, Mapping) and said.get("schema") == before else said


def current_key(key: str) -> str:
    """The key of an input, as it is written today."""
    return KEY + key.removeprefix(OLD_KEY) if key.startswith(OLD_KEY) else key
