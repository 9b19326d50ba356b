"""One number out of phases inside phases."""

from segeval_runner.backends.tensorrt.progress import Phases


def recorded() -> tuple[Phases, list[tuple[str, int]]]:
    said: list[tuple[str, int]] = []
    return Phases(lambda name, percent: said.append((name, percent))), said


def test_a_phase_inside_another_is_the_step_that_the_other_is_at() -> None:
    phases, said = recorded()
    phases.start("Building", None, 4)
    phases.step("Building", 0)
    phases.start("Timing", "Building", 2)
    phases.step("Timing", 0)
    phases.start("Formats", "Timing", 5)
    phases.step("Formats", 3)
    phases.finish("Timing")
    phases.step("Building", 1)
    phases.finish("Building")
    percents = [0, 25, 25, 37, 37, 47, 50, 50, 100]
    assert said == [("Building", percent) for percent in percents]


def test_a_slower_sister_does_not_turn_it_back() -> None:
    phases, said = recorded()
    phases.start("Building", None, 2)
    for name in ("one", "two"):
        phases.start(name, "Building", 10)
    phases.step("one", 7)
    phases.step("two", 0)
    assert said[-2:] == [("Building", 40), ("Building", 40)]


def test_steps_beyond_the_last_and_phases_nobody_knows_do_no_harm() -> None:
    phases, said = recorded()
    phases.start("Building", "a phase that has ended", 0)
    phases.step("Building", 5)
    phases.step("stray", 1)
    phases.finish("stray")
    phases.finish("Building")
    phases.finish("Building")
    assert said == [("Building", 0), ("Building", 100), ("Building", 100)]
