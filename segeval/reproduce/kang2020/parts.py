"""What a report is made from: the parts of a reproduction that its configuration has."""

from dataclasses import dataclass, field

from segeval.files.experiments import Experiment, ExperimentFolder, Maps, sets
from segeval.files.set_folder import SetFolder
from segeval.files.sets import AdversarialSet
from segeval.reproduce.kang2020.kang2020_records import SetRow


@dataclass
class Sources:
    """The folder's record, its sets and its maps. Raises DataError for a part that is asked for and not finished."""

    folder: ExperimentFolder
    experiment: Experiment = field(init=False)
    manifests: dict[str, AdversarialSet] = field(init=False)
    maps: Maps | None = field(init=False)

    def __post_init__(self) -> None:
        self.experiment = self.folder.read()
        config = self.experiment.config
        self.manifests = {name: SetFolder(self.folder.set(name)).complete_manifest() for name, _ in sets(config)}
        self.maps = self.folder.read_maps() if "maps" in config.parts else None

    def opened(self, name: str) -> tuple[SetFolder, AdversarialSet] | None:
        """A set by name; None if the reproduction does not have it."""
        manifest = self.manifests.get(name)
        return None if manifest is None else (SetFolder(self.folder.set(name)), manifest)

    def any_set(self) -> tuple[SetFolder, AdversarialSet] | None:
        """Table 1, or else the first set there is."""
        return self.opened(next(iter(self.manifests), ""))

    def set_rows(self) -> tuple[SetRow, ...]:
        """The sets in the order in which they were made."""
        seconds = self.experiment.seconds
        return tuple(
            SetRow(name, len(each.images), each.sample_count, len(each.skipped), seconds.get(name))
            for name, each in self.manifests.items()
        )
