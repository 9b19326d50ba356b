"""An audit of networks: if an attack fails, is that the network's doing, or does the gradient lead it astray?"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from segeval.datasets import Example
from segeval.errors import DataError, counted
from segeval.metrics import Labels
from segeval.progress import Progress

from ..attacks.problem import Problem
from ..attacks.specs import Trajectory
from ..attacks.victims import Victims
from ..crafting.clean_scores import told_of_scale
from ..crafting.craft import ELSE_NOTHING, require_size
from ..crafting.flatness import is_flat
from ..crafting.jobs import Job, seed_of
from ..crafting.samples import Loaded, make_problem
from ..crafting.setup import Setup
from ..numerics import naming_memory, one_thread
from .audit_records import AuditConfig, AuditRecord, NetworkAudit
from .audit_runs import Run, measured, require_audited, runs_of
from .checks import checks_of, gradient


@dataclass(frozen=True)
class Subject:
    """A network, or the files of it that are attacked together, and the attack on it."""

    victims: Victims
    trajectory: Trajectory
    name: str


@dataclass(frozen=True)
class AuditPlan:
    """What an audit is about to do, at most. subjects: names of networks and files."""

    images: int
    subjects: tuple[str, ...]
    gradients: int
    queries: int


class Audit:
    """One audit. Raises ConfigurationError for an attack that has no budget or no gradient, and as `Setup`."""

    def __init__(self, config: AuditConfig) -> None:
        require_audited(config.attack)
        self.config = config
        self.setup = Setup(config.craft)
        pairs = ((victims, each) for victims in self.setup.groups for each in self.setup.trajectories)
        self.subjects = [
            Subject(victims, each, "+".join(self.setup.attacked(victims, each).names)) for victims, each in pairs
        ]

    def plan(self) -> AuditPlan:
        """Counts that an image without a source pixel can only lower."""
        images = len(self.setup.chosen)
        runs = [run for subject in self.subjects for each in self.runs(subject).values() for run in each]
        queries = sum(run.steps for run in runs if run.searches)
        gradients = sum(run.steps for run in runs if not run.searches)
        return AuditPlan(images, tuple(each.name for each in self.subjects), images * gradients, images * queries)

    def runs(self, subject: Subject) -> Mapping[str, Sequence[Run]]:
        """The attacks on a network or file, by check."""
        return runs_of(self.config, subject.trajectory.specs[0].on)

    def run(self, progress: Progress, tell: Callable[[str], None] = lambda text: None) -> AuditRecord:
        """Carry out every check on every network.

        Args:
            progress: called with the network, the iterates that are done and their total.
            tell: called with what a person should know of the networks.

        Raises:
            ConfigurationError: for a network that answers with probabilities.
            DataError: for an image that cannot be used, or if no image has a source pixel.
            EngineError: for a network whose answers are not finite, or if it takes more memory than there is.
        """
        device, setup = self.config.craft.device, self.setup
        with one_thread(device), naming_memory(device):
            setup.require_networks_for(self.first)
            for line in (*setup.said, *map(told_of_scale, setup.models)):
                if line:
                    tell(line)
            audits = tuple(self.audited(subject, progress) for subject in self.subjects)
        return AuditRecord(self.config, tuple(setup.dataset.ids[index] for index in setup.chosen), audits)

    @property
    def first(self) -> Example:
        """The first image, whose size all have."""
        return self.setup.dataset[self.setup.chosen[0]]

    def audited(self, subject: Subject, progress: Progress) -> NetworkAudit:
        """The checks of one network."""
        flat = [is_flat(problem) for problem in self.problems(subject)]
        if not flat:
            images, task = counted(len(self.setup.chosen), "image"), self.setup.tasks[0].name
            what = f"no pixel of {images} is predicted as a source class of {task}"
            raise DataError(f"{what} by {subject.victims.name}: nothing to attack", ELSE_NOTHING)
        leads = gradient(len(flat), sum(flat))
        if all(flat):
            return NetworkAudit(subject.name, len(flat), (leads,))
        runs = self.runs(subject)
        total = len(flat) * sum(run.steps + 1 for each in runs.values() for run in each)
        done = 0

        def tick() -> None:
            nonlocal done
            done += 1
            progress(f"audit of {subject.name}", done, total)

        checks = checks_of(measured(runs, self.problems(subject), tick), self.config.budget)
        return NetworkAudit(subject.name, len(flat), (leads, *checks))

    def problems(self, subject: Subject) -> Iterator[Problem]:
        """One for every image with a source pixel, read when it is asked for: memory does not grow with their number.

        Raises DataError for an image of another size than the first.
        """
        victims, trajectory, task = subject.victims, subject.trajectory, self.setup.tasks[0]
        first = self.first
        for index in self.setup.chosen:
            example = self.setup.dataset[index]
            require_size(example, first.image.shape, first.id, self.setup.models[0].spec)
            predicted: Labels = victims.predict(example.image)
            phi = task.goal.phi(predicted)
            if phi.any():
                job = Job(victims, self.setup.attacked(victims, trajectory), trajectory, task, (example.id,))
                seed = seed_of(self.config.craft.seed, job.sample_id(example.id, trajectory.specs[0].plain.label))
                yield make_problem(job, [Loaded(example.image, predicted, {}, phi, None)], (seed,))
