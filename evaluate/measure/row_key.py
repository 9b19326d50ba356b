"""What a row is about."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class RowKey:
    """What tells a row from every other: images made for the victims by the attack, shown to the model on the engine.

    Attributes:
        task: None for all tasks together.
        engine: empty for all engines, and for what is measured on none.
    """

    model: str
    victims: tuple[str, ...]
    attack: str
    task: str | None
    engine: str = ""

    @property
    def own(self) -> bool:
        """Whether the attack was made for the model, alone or with others; how others transfer to it is apart."""
        return self.model in self.victims

    @property
    def alone(self) -> bool:
        """Whether the attack was made for the model alone."""
        return self.victims == (self.model,)

    def over_tasks(self) -> "RowKey":
        """The key of all tasks together."""
        return replace(self, task=None)

    def over_engines(self) -> "RowKey":
        """The key of all engines."""
        return replace(self, engine="")

    def covers(self, other: "RowKey") -> bool:
        """Whether what is about the other is counted in a row of this one."""
        return self in (other, other.over_tasks())

    def on(self, engine: str) -> "RowKey":
        """The same on another engine."""
        return replace(self, engine=engine)

    def under(self, attack: str) -> "RowKey":
        """The same under another attack."""
        return replace(self, attack=attack)


def within_model(engine: str, model: str) -> str:
    """The name of an engine among those of its model, ``int8`` of ``espnet-camvid.int8``; any other as it is."""
    return engine.removeprefix(f"{model}.")


class Keyed:
    """A record of which a row key is a part. Its JSON is flat."""

    __slots__ = ()
    model: str
    victims: tuple[str, ...]
    attack: str
    task: str | None
    engine: str

    @property
    def key(self) -> RowKey:
        """What it is about."""
        return RowKey(self.model, self.victims, self.attack, self.task, self.engine)
