"""When an attack failed, and what may make it stronger: told by `segeval craft`, and by the report."""

from segeval.files.sets import AttackSpec

FAILED = 0.05
"""Success on the desktop, as a share of φ, below which an attack failed: how much of that survives says little."""


def ways(spec: AttackSpec) -> str:
    """``a larger budget (--set pgd.budget=4, now 2) or more --steps (now 50)``, of the settings that the attack has.

    Empty for a pattern, which takes no steps, and for an attack that is kept within the change of another.
    """
    if not spec.steps or spec.match:
        return ""
    budget = spec.parameters.get("budget")
    limit = ""
    if spec.within is not None:
        limit = f"a larger --within (now {spec.within:g}) or "
    elif isinstance(budget, int | float):
        limit = f"a larger budget (--set {spec.attack}.budget={2 * budget:g}, now {budget:g}) or "
    return f"{limit}more --steps (now {spec.steps})"
