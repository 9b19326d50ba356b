"""One page over many runs: real reports, links that lead there, and runs that cannot be read."""

import os
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from segeval.cli import run
from segeval.errors import ConfigurationError, DataError
from segeval.evaluate import SurvivalReport
from segeval.evaluate.index.index_page import rendered, write_index
from segeval.evaluate.index.indexed_runs import index_runs

if TYPE_CHECKING:
    from tests.evaluate.conftest import World

EARLIER = Path(__file__).parents[1] / "earlier" / "bcc3529" / "report"
NEW, OLD = datetime(2026, 11, 29, 12, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def runs(shared: tuple["World", SurvivalReport], tmp_path: Path) -> Path:
    """A folder with two reports, one of an earlier version, and one that was cut."""
    folder = tmp_path / "all runs"
    for place, source, date in (("new/report", shared[0].set_root.parent / "out", NEW), ("old", EARLIER, OLD)):
        shutil.copytree(source, folder / place)
        os.utime(folder / place / "report.json", (date.timestamp(), date.timestamp()))
    (folder / "cut").mkdir()
    (folder / "cut" / "report.json").write_bytes((EARLIER / "report.json").read_bytes()[:100])
    (folder / "new" / ".report.new.part").mkdir()
    (folder / "new" / ".report.new.part" / "report.json").write_text("{}")
    return folder


def test_runs_stand_newest_first_with_the_numbers_of_their_reports(
    runs: Path, shared: tuple["World", SurvivalReport]
) -> None:
    index = index_runs([runs])
    assert [(run.name, run.model, run.written) for run in index.runs] == [
        ("new/report", "espnet-camvid", NEW),
        ("old", "espnet-camvid", OLD),
    ]
    new = index.runs[0]
    assert (new.revision, new.devices, new.task, new.images) == ("abc", ("a processor",), "", 3)
    for row in shared[1].survival:
        if row.task is None:
            assert new.cells[row.attack, row.precision] is not None
            assert new.cells[row.attack, row.precision].survival == row.survival
            assert new.desktop[row.attack] == row.desktop_success
    assert index.same == ("fp32",) and index.attacks == {"fgsm-full": ("fp16", "int8"), "tanh-local": ("fp16", "int8")}


def test_what_cannot_be_read_is_listed_with_the_reason_and_without_paths_of_the_machine(
    runs: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    index = index_runs([runs, tmp_path / "empty", tmp_path / "nowhere"])
    told = {each.name: each.reason for each in index.unread}
    assert told.keys() == {"all runs/cut", "empty", "nowhere"}
    assert told["all runs/cut"].startswith("report.json: ") and "no report.json" in told["nowhere"]
    html = rendered(index, tmp_path).decode()
    assert html.count("Cannot be read: ") == 3 and str(tmp_path) not in html
    with pytest.raises(DataError, match="there is no report in"):
        index_runs([tmp_path / "empty"])


def test_a_report_given_twice_is_one_run(runs: Path) -> None:
    index = index_runs([runs / "new", runs / "new" / "report"])
    assert [run.name for run in index.runs] == ["report"] and not index.unread


def test_a_copy_of_a_run_is_marked_and_attacks_tell_what_they_were_allowed(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs / "new/report", runs / "copy")
    os.utime(runs / "copy/report.json", (OLD.timestamp() + 1, OLD.timestamp() + 1))
    index = index_runs([runs])
    assert [run.same_as for run in index.runs] == ["", "new/report", ""], "the newest is the run"
    assert index.runs[0].limits == "2 levels, 4 steps"
    html = rendered(index, tmp_path).decode()
    assert html.count("the same run as new/report") == 1 and "2 levels, 4 steps" in html


def test_links_are_relative_and_lead_to_the_reports(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "pages" / "index.html"
    write_index(index_runs([runs]), out)
    html = out.read_text(encoding="utf-8")
    links = [link for link in re.findall(r'href="([^"#]+)"', html) if not link.startswith("data:")]
    assert links == ["../all%20runs/new/report/report.html"]
    assert (out.parent / links[0].replace("%20", " ")).is_file()
    assert "report.html is not there" in html, "of the earlier one there is no page"
    assert "http:" not in html and "https:" not in html and "<script" not in html
    assert "vehicle-to-road" in html and "different tasks" in html
    write_index(index_runs([runs]), out)
    assert out.read_text(encoding="utf-8") == html, "the same bytes again, over its own page"


def test_a_file_of_somebody_else_or_of_a_report_is_kept(runs: Path, tmp_path: Path) -> None:
    mine = tmp_path / "index.html"
    mine.write_text("<p>mine</p>")
    for out in (mine, runs / "new" / "report" / "report.html", runs / "new"):
        before = out.read_bytes() if out.is_file() else None
        with pytest.raises(ConfigurationError):
            write_index(index_runs([runs]), out)
        assert before is None or out.read_bytes() == before
    beside = runs / "new" / "report" / "index.html"
    write_index(index_runs([runs]), beside)
    assert beside.is_file()


def test_the_command_writes_the_page_and_names_what_it_could_not_read(
    runs: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["report", str(runs), "--out", str(tmp_path / "index.html")]) == 0
    told = " ".join(capfd.readouterr().err.split())
    assert "cannot be read: cut: report.json: " in told and "page of 2 runs: " in told
    assert "2 runs side by side" in (tmp_path / "index.html").read_text(encoding="utf-8")
    assert run(["report", str(tmp_path / "nowhere"), "--out", str(tmp_path / "other.html")]) == 2
    told = capfd.readouterr().err
    assert "no report in" in told and "Traceback" not in told
    assert run(["report", str(runs / "cut"), str(tmp_path / "nowhere"), "--out", str(tmp_path / "other.html")]) == 2
    told = capfd.readouterr().err
    assert "no report can be read\n  all runs/cut: report.json: " in told and "\n  nowhere: there is no" in told
    assert "segeval evaluate" in told and "page of" not in told
    assert not (tmp_path / "other.html").exists()
