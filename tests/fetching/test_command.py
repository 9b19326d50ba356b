"""``segeval fetch``: the plan, the licence, what is skipped, what is missing, and Ctrl-C."""

import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any, Never

import pytest

from segeval.cli import run
from segeval.datasets.cityscapes import open_cityscapes
from segeval.fetching.inventory import found, take
from segeval.fetching.lock import alone
from segeval.fetching.sources import SOURCES, Source
from segeval.models import load_model

COMMAND = [sys.executable, "-m", "segeval", "fetch"]


@dataclass(frozen=True)
class Ended:
    """A command that ended."""

    code: int
    out: str
    err: str


Call = Callable[..., Ended]


@pytest.fixture
def fetch(capfd: pytest.CaptureFixture[str]) -> Call:
    """Run the command in this process."""

    def called(*arguments: str) -> Ended:
        capfd.readouterr()
        return Ended(run(["fetch", *arguments]), *capfd.readouterr())

    return called


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every socket fail."""

    def refuse(*_: object, **__: object) -> Never:
        raise AssertionError("a socket was opened")

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)


def whole(source: Source, cache: Path) -> list[str]:
    """The files of a source that are in the cache with the right content; any other is an error."""
    files = [file for file in source.files() if (cache / file.path).exists()]
    assert all(found(file, cache / file.path) == file.digest for file in files)
    return [file.path for file in files]


def names(cache: Path) -> set[str]:
    """Every file in the cache but the lock."""
    files = {path.relative_to(cache).as_posix() for path in cache.rglob("*") if path.is_file()}
    return files - {".fetching"}


def test_everything_is_downloaded_after_the_licence_was_shown(fetch: Call, small: Source, cache: Path) -> None:
    ended = fetch("small")
    assert (ended.code, ended.out) == (0, f"small: 30 files in {cache / 'things'}, all verified\n")
    assert names(cache) == {file.path for file in small.files()} == set(whole(small, cache))
    said = ended.err.splitlines()
    assert said[:5] == [
        "small: 30 small files",
        "  licence: Terms of the small",
        "  from: https://github.com/someone/pictures at 0123abcd, by way of " + said[2].split()[-1],
        f"  into: {cache / 'things'}",
        "  30 files, 30 to fetch, unknown size",
    ]
    assert said[5] == "fetching small: 0/30" and said[-2:] == ["fetching small: 30/30", "next: segeval ls tasks"]


def test_what_is_there_and_right_is_not_downloaded_again(
    fetch: Call, small: Source, upstream: Any, cache: Path
) -> None:
    assert fetch("small").code == 0
    (cache / small.files()[3].path).write_bytes(b"damaged")
    (cache / small.files()[4].path).unlink()
    upstream.requests.clear()
    ended = fetch("small")
    assert ended.code == 0
    assert "30 files, 2 to fetch" in ended.err
    assert f"damaged, will be replaced: {small.files()[3].path}\n" in ended.err
    assert sorted(upstream.requests) == [
        ("/someone/pictures/0123abcd/part 0/3.png", None),
        ("/someone/pictures/0123abcd/part 0/4.png", None),
    ]
    assert len(whole(small, cache)) == 30
    upstream.requests.clear()
    ended = fetch("small")
    assert (ended.code, upstream.requests) == (0, [])
    assert "30 files, 0 to fetch\n" in ended.err and "fetching" not in ended.err


def test_several_names_at_once(fetch: Call, small: Source, upstream: Any, cache: Path) -> None:
    files = [upstream.add("other.bin", b"other")]
    SOURCES["other"] = Source("other", "another file", "Terms of the other", lambda: files, ("ls", "models"))
    try:
        ended = fetch("small", "other", "small")
    finally:
        del SOURCES["other"]
    assert ended.code == 0
    assert [line.split(":")[0] for line in ended.out.splitlines()] == ["small", "other"]
    assert ended.err.index("Terms of the other") < ended.err.index("fetching small: 0/30")
    assert ended.err.endswith("next: segeval ls models\n")


def test_quiet_leaves_the_result_and_the_licence_of_what_is_downloaded(fetch: Call, single: Source) -> None:
    ended = fetch("single", "--quiet")
    assert (ended.code, ended.err) == (0, f"single: licence: {single.licence}\n")
    assert ended.out.startswith("single: 1 file in ")
    assert fetch("single", "--quiet").err == "", "nothing is downloaded"


def test_the_base_can_be_an_option(fetch: Call, single: Source, upstream: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGEVAL_FETCH_BASE", "http://127.0.0.1:1")
    assert fetch("single", "--base", upstream.base).code == 0
    ended = fetch("single", "--base", "nowhere")
    assert ended.code == 0, "nothing is missing, so no server is needed"


def test_without_a_name_there_is_a_list(fetch: Call, small: Source, cache: Path, no_network: None) -> None:
    ended = fetch()
    assert ended.code == 0
    assert "small" in ended.out and "Terms of the" in ended.out and "missing" in ended.out
    assert "NAME" not in ended.err and ended.err.splitlines()[-1].startswith("next: segeval fetch ")
    (cache / small.files()[0].path).parent.mkdir(parents=True)
    (cache / small.files()[0].path).write_bytes(b"damaged")
    assert "missing" in fetch().out


def test_the_list_says_how_much_is_here(fetch: Call, small: Source, cache: Path) -> None:
    assert fetch("small").code == 0
    assert " here " in fetch().out
    (cache / small.files()[0].path).write_bytes(b"damaged")
    assert "29 of 30" in fetch().out


def test_the_real_list(fetch: Call, no_network: None) -> None:
    ended = fetch()
    assert ended.code == 0
    words = " ".join(ended.out.split())
    assert all(name in words for name in SOURCES)
    assert "at least 175 MB" in words and "1.5 MB" in words and "1402" in words


def test_a_dataset_in_the_users_data_is_not_fetched_beside_it(
    fetch: Call, small: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGEVAL_DATA", str(tmp_path / "data"))
    (tmp_path / "data/things").mkdir(parents=True)
    assert take(small).local == "other files"
    ended = fetch("small")
    assert ended.code == 2 and "is read before the cache, and 30 files of small are others there" in ended.err
    shutil.rmtree(tmp_path / "data/things")
    assert fetch("small").code == 0 and take(small).local == "here"


def test_offline_checks_without_opening_a_socket(
    fetch: Call, small: Source, cache: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    assert fetch("small").code == 0
    request.getfixturevalue("no_network")
    ended = fetch("small", "--offline")
    assert (ended.code, ended.out) == (0, f"small: 30 files in {cache / 'things'}, all verified\n")
    for file in small.files()[:5]:
        (cache / file.path).unlink()
    (cache / small.files()[7].path).write_bytes(b"damaged")
    monkeypatch.setenv("SEGEVAL_FETCH_OFFLINE", "1")
    ended = fetch("small")
    assert (ended.code, ended.out) == (2, "")
    assert "small: 5 of 30 files missing: things/part 0/0.png, " in ended.err and " and 2 more\n" in ended.err
    assert "small: 1 of 30 files damaged: things/part 0/7.png\n" in ended.err
    assert "what to do: get them with segeval fetch small" in ended.err


def test_a_name_that_is_nearly_right_is_suggested(fetch: Call, no_network: None) -> None:
    ended = fetch("camvit")
    assert (ended.code, ended.out) == (2, "")
    assert "nothing called 'camvit' to fetch" in ended.err and "did you mean camvid" in ended.err
    assert "Known: camvid, cityscapes-frames, " in fetch("zzz").err


def test_another_content_stops_everything(fetch: Call, small: Source, upstream: Any, cache: Path) -> None:
    upstream.files["/someone/pictures/0123abcd/part 1/12.png"] = b"something else"
    ended = fetch("small")
    assert (ended.code, ended.out) == (2, "")
    assert f"12.png is not the recorded file {small.files()[12].path}: expected git:" in ended.err
    assert small.files()[12].path not in whole(small, cache)
    assert f"{small.files()[12].path}.part" not in names(cache)
    assert "Traceback" not in ended.err


def test_a_cache_that_cannot_be_written_is_named(fetch: Call, single: Source, cache: Path) -> None:
    cache.parent.mkdir(parents=True)
    cache.touch()
    ended = fetch("single")
    assert (ended.code, ended.out) == (2, "")
    assert f"error: cannot write {cache}" in ended.err and "XDG_CACHE_HOME" in ended.err


def test_a_second_download_waits_for_the_first(cache: Path) -> None:
    said: list[str] = []
    waited: list[bool] = []

    def second() -> None:
        with alone(cache, lambda: said.append("waits")) as had_to:
            waited.append(had_to)

    with alone(cache, lambda: said.append("first waits")) as had_to:
        assert not had_to
        thread = Thread(target=second)
        thread.start()
        while not said:
            time.sleep(0.01)
        assert waited == []
    thread.join()
    assert (said, waited) == (["waits"], [True])


PROGRAM = """
import json, sys
from pathlib import Path
from segeval.fetching.sources import SOURCES, RemoteFile, Source
files = [RemoteFile(**each) for each in json.loads(Path(sys.argv.pop(1)).read_text())]
SOURCES.clear()
SOURCES["small"] = Source("small", "30 small files", "Terms of the small", lambda: files, ("ls",))
from segeval.cli import main
main()
"""


def test_ctrl_c_ends_at_once_and_leaves_whole_files(
    fetch: Call, small: Source, upstream: Any, cache: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    for file in small.files()[12:]:
        upstream.fail(file.origin, lambda handler: handler.hang())
    (tmp_path / "files.json").write_text(json.dumps([asdict(file) for file in small.files()]))
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "files.json"), "fetch", "small"]
    pipe = subprocess.PIPE
    # A shell lets its background jobs ignore Ctrl-C, and what they start inherits that.
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment, preexec_fn=heed) as process:
        give_up = time.monotonic() + 60
        while upstream.hanging < 8 and time.monotonic() < give_up:
            time.sleep(0.02)
        assert upstream.hanging == 8
        pressed = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert time.monotonic() - pressed < 10
    assert (process.returncode, out) == (130, "")
    assert "interrupted; finished work is saved" in err and "Traceback" not in err
    assert whole(small, cache) == [file.path for file in small.files()[:12]]
    assert all(name.endswith(".part") for name in names(cache) - set(whole(small, cache)))

    upstream.released.set()
    upstream.faults.clear()
    ended = fetch("small")
    assert ended.code == 0, ended.err
    assert "30 files, 18 to fetch" in ended.err
    assert names(cache) == {file.path for file in small.files()} == set(whole(small, cache))
    assert "bytes=10-" in {asked for _, asked in upstream.requests}


def serve(upstream: Any, source: Source, local: Callable[[str], Path]) -> None:
    """Put real files where the repositories have them."""
    for file in source.files():
        upstream.files[f"/{file.repository}/{file.commit}/{file.origin}"] = local(file.path).read_bytes()


def test_real_weights_from_the_command_line_to_a_network(
    upstream: Any, data: Path, cache: Path, environment: dict[str, str]
) -> None:
    serve(upstream, SOURCES["espnet-camvid"], lambda path: data / path)
    command = [*COMMAND, "espnet-camvid"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "licence: MIT" in done.stderr and "next: segeval score espnet-camvid --dataset camvid" in done.stderr
    assert done.stdout == f"espnet-camvid: 1 file in {cache / 'weights'}, all verified\n"
    assert load_model("espnet-camvid").spec.name == "espnet-camvid"


def test_real_frames_from_the_command_line_to_a_dataset(upstream: Any, data: Path, fetch: Call) -> None:
    serve(upstream, SOURCES["cityscapes-frames"], lambda path: data / "cityscapes_frames" / Path(path).name)
    ended = fetch("cityscapes-frames")
    assert ended.code == 0, ended.err
    assert "non-commercial research, no redistribution" in ended.err
    dataset = open_cityscapes(split="all")
    assert len(dataset) == 5
    assert dataset[0].labels is not None
