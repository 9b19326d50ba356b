"""What gates found, for a build server (JUnit XML) and for a pull request (Markdown)."""

from collections.abc import Sequence
from xml.etree import ElementTree

from segeval.console import visible

from .gates import Finding


def junit(findings: Sequence[Finding]) -> bytes:
    """JUnit XML: a test case per gate, attack and network; one that was missed has failed."""
    missed = sum(not finding.held for finding in findings)
    suite = ElementTree.Element(
        "testsuite", name="segeval gates", tests=str(len(findings)), failures=str(missed), errors="0", skipped="0"
    )
    for finding in findings:
        name = visible(f"{finding.gate} [{finding.described} on {finding.key.model}, {', '.join(finding.engines)}]")
        case = ElementTree.SubElement(suite, "testcase", classname="segeval.gates", name=name)
        if not finding.held:
            ElementTree.SubElement(case, "failure", message=visible(f"missed: {finding.told}"))
    ElementTree.indent(suite)
    data: bytes = ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True)
    return data + b"\n"


def summary(findings: Sequence[Finding], verdict: Sequence[str]) -> str:
    """Markdown: whether the gates held, a table of them, and the report's verdict."""
    missed = [finding for finding in findings if not finding.held]
    held = len(findings) - len(missed)
    lines = [f"### segeval: {'all' if not missed else held} of {len(findings)} checks held", ""]
    lines += ["| | gate | attack | network | numbers |", "|---|---|---|---|---|"]
    for finding in (*missed, *(finding for finding in findings if finding.held)):
        numbers = ", ".join(f"{name} = {value:.4g}" for name, value in finding.numbers)
        cells = (
            "held" if finding.held else "**missed**",
            f"`{finding.gate}`",
            finding.described,
            finding.key.model,
            numbers,
        )
        lines.append("| " + " | ".join(visible(cell).replace("|", "\\|") for cell in cells) + " |")
    return "\n".join([*lines, "", *(f"> {visible(sentence)}" for sentence in verdict), ""])
