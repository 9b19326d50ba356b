"""What a report is made from: the parts of a reproduction that its configuration has."""

from segeval.files.experiments import ExperimentFolder, sets
from segeval.files.set_folder import SetFolder


class Sources:
    """The folder's record, its sets and its maps. Raises DataError for a part that is asked for and not finished.

    first, manifest: Table 1, or else the first set there is; empty and None if there is none.
    """

    def __init__(self, folder: ExperimentFolder) -> None:
        self.folder = folder
        self.experiment = folder.read()
        self.config = self.experiment.config
        self.manifests = {name: self.set(name).complete_manifest() for name, _ in sets(self.config)}
        self.first = next(iter(self.manifests), "")
        self.manifest = self.manifests.get(self.first)
        self.models = self.manifest.models if self.manifest else ()
        self.maps = folder.read_maps() if "maps" in self.config.parts else None

    def set(self, name: str) -> SetFolder:
        """The folder of a set."""
        return SetFolder(self.folder.set(name))
