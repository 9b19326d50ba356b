"""Running the jobs of a crafting run, here or in several processes, and keeping what they give in their order."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from itertools import accumulate

from segeval.files.set_folder import SetFolder
from segeval.files.sets import AdversarialSample
from segeval.files.storage import explaining, require_recorded
from segeval.processes import Processes
from segeval.progress import Progress

from ..group import ALONE, Group
from .jobs import Job, Work
from .samples import ImageFiles
from .setup import Setup
from .workers import Order, attack
from .workers import workers as crafting

AHEAD = 2
"""Jobs per process that are handed out before the oldest of them is kept."""


class Schedule:
    """The jobs that samples.jsonl does not have yet."""

    def __init__(
        self,
        setup: Setup,
        folder: SetFolder,
        jobs: Sequence[Job],
        files: Mapping[str, ImageFiles],
        progress: Progress,
        group: Group = ALONE,
    ) -> None:
        self.setup = setup
        self.folder = folder
        self.jobs = jobs
        self.files = files
        self.progress = progress
        self.group = group
        self.work = Work(jobs)
        self.done, self.changes = group.told(self.taken_up)
        self.next = self.done

    def taken_up(self) -> tuple[int, dict[str, float]]:
        """The number of jobs that are done, and the mean changes of their samples."""
        return self.keep_whole_jobs(), dict(map(self.change, self.kept()))

    def run(self, workers: int) -> int:
        """Run the jobs in the group, or in so many processes; returns the number of samples."""
        workers = min(workers, len(self.jobs) - self.done)
        if self.group.size > 1:
            self.run_in_group()
        elif workers > 1:
            records = tuple(model.record for model in self.setup.models)
            setup = self.setup
            order = Order(setup.config, setup.size, self.folder.root, records, setup.deployed_files, self.files)
            with crafting(workers, order) as processes:
                self.run_side_by_side(processes, AHEAD * workers)
        else:
            self.run_one_by_one()
        return sum(job.samples for job in self.jobs)

    def run_one_by_one(self) -> None:
        """Run the jobs in this process."""
        for number, job in enumerate(self.jobs):
            if number >= self.done:

                def tick(step: int, number: int = number) -> None:
                    self.report(number, step)

                self.keep(number, self.setup.attack(self.folder, job, self.files, self.limits(job), tick))
            else:
                self.report(number)

    def run_side_by_side(self, processes: Processes, ahead: int) -> None:
        """Run the jobs in several processes.

        Args:
            processes: that take the jobs.
            ahead: most jobs that are handed out and not kept yet.
        """
        waiting: deque[tuple[int, Future[list[AdversarialSample]]]] = deque()

        def collect() -> None:
            number, future = waiting.popleft()
            samples = processes.result(future)
            self.keep(number, samples)

        for number in range(self.done):
            self.report(number)
        for number in range(self.done, len(self.jobs)):
            job = self.jobs[number]
            while len(waiting) >= ahead or (waiting and not job.ready(self.changes)):
                collect()
            waiting.append((number, processes.submit(attack, number, self.limits(job))))
        while waiting:
            collect()

    def run_in_group(self) -> None:
        """Take one job after the other that no process has taken; the leader keeps what comes of all, in order."""
        leads = self.group.leads
        for number in range(self.done if leads else 0):
            self.report(number)
        while (number := self.done + self.group.take()) < len(self.jobs):
            job = self.jobs[number]
            while not job.ready(self.changes):
                self.await_next()

            def tick(step: int) -> None:
                while leads and self.given():
                    pass

            samples = self.setup.attack(self.folder, job, self.files, self.limits(job), tick)
            self.group.post(place(number), samples)
        while leads and self.next < len(self.jobs):
            self.await_next()

    def await_next(self) -> None:
        """Wait for the samples of the next job in order, and take them in."""
        while not self.given():
            self.group.wait()

    def given(self) -> bool:
        """Take in the samples of the next job in order, and say whether they were there."""
        if self.next == len(self.jobs) or not self.group.posted(place(self.next)):
            self.group.require_alive()  # else all that others do after a lost job would wait for it in vain
            return False
        samples = self.group.received(place(self.next))
        if self.group.leads:
            self.keep(self.next, samples)
            if not self.matching:
                self.group.forget(place(self.next))
        else:
            self.changes.update(map(self.change, samples))
        self.next += 1
        return True

    @property
    def matching(self) -> bool:
        """Whether a job waits for samples of another, which every process then reads."""
        return any(spec.match for spec in self.setup.specs.values())

    def report(self, number: int, step: int | None = None) -> None:
        """Say how far job `number` is: done, if it is not told how many steps it has taken."""
        self.progress(*self.work.told(number, step))

    def limits(self, job: Job) -> list[list[float | None]]:
        """Per image and spec the mean change that is allowed."""
        return [job.limits(image, self.changes) for image in job.images]

    def keep(self, number: int, samples: Sequence[AdversarialSample]) -> None:
        """Record the samples of a job."""
        self.folder.append(samples)
        self.changes.update(map(self.change, samples))
        self.report(number)

    def change(self, sample: AdversarialSample) -> tuple[str, float]:
        """Id and mean change of a sample, that another attack may be matched to."""
        local = self.setup.specs[sample.attack].scope == "local"
        return sample.id, sample.norms.mean_phi if local else sample.norms.mean

    def kept(self) -> Iterator[AdversarialSample]:
        """The samples that are there already. Raises IntegrityError if a file of one is not the one that was saved."""
        proved: set[str] = set()
        for sample in self.folder.samples():
            for file in sample.files.values():
                if file.path not in proved:
                    require_recorded(self.folder.root, file)
                    proved.add(file.path)
            yield sample

    def keep_whole_jobs(self) -> int:
        """Cut samples.jsonl back to whole jobs, after an interruption; returns how many there are."""
        path = self.folder.samples_path
        with explaining(path):
            path.touch()
            ends = [0]
            with path.open("rb") as lines:
                ends.extend(accumulate(len(line) for line in lines if line.endswith(b"\n")))
        kept = whole = 0
        for job in self.jobs:
            if kept + job.samples >= len(ends):
                break
            kept += job.samples
            whole += 1
        with explaining(path), path.open("r+b") as file:
            file.truncate(ends[kept])
        return whole


def place(number: int) -> str:
    """Where the samples of a job are posted."""
    return f"job/{number}"
