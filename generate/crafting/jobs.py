"""The units of a crafting run: which images of which victims are attacked together, and how."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from segeval.files.sets import TaskRecord

from ..attacks.specs import Trajectory
from ..attacks.victims import Attacked, Victims


@dataclass(frozen=True)
class Job:
    """One batch: images of one victim, or of several attacked together, under one attack and task.

    Attributes:
        attacked: what the attack is made on.
    """

    victims: Victims
    attacked: Attacked
    trajectory: Trajectory
    task: TaskRecord
    images: tuple[str, ...]

    @property
    def samples(self) -> int:
        """How many samples it makes."""
        return len(self.images) * len(self.trajectory.specs)

    def sample_id(self, image: str, attack: str) -> str:
        """Id of one of its samples.

        Args:
            image: id of the image.
            attack: label of its spec.
        """
        return f"{image}/{self.task.name}/{attack}/{self.victims.name}"

    @property
    def name(self) -> str:
        """What progress calls it."""
        return f"{self.trajectory.specs[0].label} on {self.victims.name}"

    def ready(self, changes: Mapping[str, float]) -> bool:
        """Whether the samples that it is matched to are among these."""
        matched = [spec.match for spec in self.trajectory.specs if spec.match]
        return all(self.sample_id(image, label) in changes for image in self.images for label in matched)

    def limits(self, image: str, changes: Mapping[str, float]) -> list[float | None]:
        """Per spec the mean change that the saved image may have.

        Args:
            image: id of the image.
            changes: of the samples so far, by id.
        """
        specs = self.trajectory.specs
        return [changes[self.sample_id(image, spec.match)] if spec.match else spec.within for spec in specs]


class Work:
    """How far the jobs of each name are, in steps of images. What takes no step counts as one."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self.jobs = jobs
        self.names = list(dict.fromkeys(job.name for job in jobs))
        self.totals: Counter[str] = Counter()
        self.before: list[int] = []
        for job in jobs:
            self.before.append(self.totals[job.name])
            self.totals[job.name] += self.size(job)

    @staticmethod
    def size(job: Job) -> int:
        """Steps of images in a job."""
        return len(job.images) * max(job.trajectory.specs[0].steps, 1)

    def told(self, number: int, step: int | None = None) -> tuple[str, int, int]:
        """The name of a job and its place among all names, what is done of that name, and its total.

        Args:
            number: of the job.
            step: steps it has taken, None for all.
        """
        job = self.jobs[number]
        done = self.size(job) if step is None else step * len(job.images)
        place = f" ({self.names.index(job.name) + 1} of {len(self.names)})" if len(self.names) > 1 else ""
        return job.name + place, self.before[number] + done, self.totals[job.name]


def seed_of(root: int, sample: str) -> int:
    """The seed of one sample, from the root seed and the sample's id."""
    return int.from_bytes(hashlib.sha256(f"{root}/{sample}".encode()).digest()[:6], "big")
