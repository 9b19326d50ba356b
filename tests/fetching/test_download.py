"""One file: whole under its name or not there, whatever the server and the disk do."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from segeval.errors import ConfigurationError, FetchError, IntegrityError, SegevalError, StorageError
from segeval.fetching import download as downloading
from segeval.fetching import server as serving
from segeval.fetching.download import StoppedError, download
from segeval.fetching.server import Server, unreachable
from segeval.fetching.sources import RemoteFile

BODY = bytes(range(256)) * 1000


@pytest.fixture(params=["sha256", "git, size not known"])
def file(upstream: Any, request: pytest.FixtureRequest) -> RemoteFile:
    """A file of 256,000 bytes."""
    algorithm, _, unknown = request.param.partition(",")
    found: RemoteFile = upstream.add("a folder/file.png", BODY, algorithm, not unknown)
    return found


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "made" / "here" / "file.png"


@pytest.fixture
def get(upstream: Any, target: Path) -> Callable[[RemoteFile], None]:
    return lambda file: download(Server(upstream.base), file, target, Event())


def redirect(handler: Any, place: str) -> None:
    handler.refuse(302, Location=place)


def part(target: Path) -> Path:
    return target.with_name("file.png.part")


def refused(
    get: Callable[[RemoteFile], None], file: RemoteFile, target: Path, kind: type[SegevalError]
) -> SegevalError:
    """The error of a download that leaves nothing under the final name."""
    with pytest.raises(kind) as caught:
        get(file)
    assert not target.exists()
    return caught.value


def test_a_file_arrives_with_its_folder(get: Any, file: RemoteFile, target: Path, upstream: Any) -> None:
    get(file)
    assert target.read_bytes() == BODY
    assert [path.name for path in target.parent.iterdir()] == ["file.png"]
    assert upstream.requests == [("/someone/pictures/0123abcd/a folder/file.png", None)]


@pytest.mark.parametrize("cuts", [1, 2, 3])
def test_a_cut_connection_is_continued(get: Any, file: RemoteFile, target: Path, upstream: Any, cuts: int) -> None:
    upstream.fail(file.origin, *[lambda handler: handler.whole(cut=70_000)] * cuts)
    get(file)
    assert target.read_bytes() == BODY
    assert upstream.asked(file.origin) == [None, *(f"bytes={70_000 * n}-" for n in range(1, cuts + 1))]


def test_a_connection_that_keeps_breaking_is_given_up_and_continued_later(
    get: Any, file: RemoteFile, target: Path, upstream: Any
) -> None:
    upstream.fail(file.origin, *[lambda handler: handler.whole(cut=50_000)] * 4)
    error = refused(get, file, target, FetchError)
    assert "a%20folder/file.png could not be downloaded: the connection was cut after 200000 of 256000" in error.what
    assert "run it again later, it continues" in error.hint
    assert part(target).read_bytes() == BODY[:200_000]
    get(file)
    assert target.read_bytes() == BODY
    assert upstream.asked(file.origin)[-1] == "bytes=200000-"


def test_a_server_that_ignores_range_is_asked_for_the_whole(
    get: Any, file: RemoteFile, target: Path, upstream: Any
) -> None:
    upstream.fail(file.origin, lambda handler: handler.whole(cut=100_000), lambda handler: handler.whole(ranges=False))
    get(file)
    assert target.read_bytes() == BODY
    assert upstream.asked(file.origin) == [None, "bytes=100000-"]


def test_a_server_that_sends_another_range_is_not_trusted(
    get: Any, file: RemoteFile, target: Path, upstream: Any
) -> None:
    def other(handler: Any) -> None:
        handler.refuse(206, Content_Range="bytes 5-9/256000", Content_Length="0")

    part(target).parent.mkdir(parents=True)
    part(target).write_bytes(BODY[:9])
    upstream.fail(file.origin, other)
    get(file)
    assert target.read_bytes() == BODY
    assert upstream.asked(file.origin) == ["bytes=9-", None]


def test_a_part_that_is_whole_already_gets_its_name(get: Any, file: RemoteFile, target: Path, upstream: Any) -> None:
    part(target).parent.mkdir(parents=True)
    part(target).write_bytes(BODY)
    get(file)
    assert target.read_bytes() == BODY
    assert upstream.asked(file.origin) == ([] if file.size else ["bytes=256000-"])


@pytest.mark.parametrize("left", [b"\0" * 1000, BODY + b"\0" * 1000])
def test_a_part_of_something_else_does_no_harm(
    get: Any, file: RemoteFile, target: Path, upstream: Any, left: bytes
) -> None:
    part(target).parent.mkdir(parents=True)
    part(target).write_bytes(left)
    if len(left) < len(BODY) or file.size is None:
        refused(get, file, target, IntegrityError)
        assert not part(target).exists()
    get(file)
    assert target.read_bytes() == BODY


def test_what_was_there_stays_until_the_new_file_is_whole(
    get: Any, file: RemoteFile, target: Path, upstream: Any
) -> None:
    target.parent.mkdir(parents=True)
    target.write_bytes(b"before")
    upstream.fail(file.origin, *[lambda handler: handler.whole(cut=1000)] * 4)
    with pytest.raises(FetchError):
        get(file)
    assert target.read_bytes() == b"before"
    get(file)
    assert target.read_bytes() == BODY


def test_another_content_is_an_error_with_both_hashes(get: Any, file: RemoteFile, target: Path, upstream: Any) -> None:
    upstream.add("a folder/file.png", BODY[:-1] + b"?")
    error = refused(get, file, target, IntegrityError)
    digests = [word.rstrip(",") for word in error.what.split() if word.startswith(("sha256:", "git:"))]
    assert "a%20folder/file.png is not the recorded file things/a folder/file.png" in error.what
    assert digests[0] == file.digest and digests[1] != file.digest and len(digests[1]) == len(file.digest)
    assert list(target.parent.iterdir()) == []


def test_a_file_that_is_truncated_on_the_server_is_refused(
    get: Any, file: RemoteFile, target: Path, upstream: Any
) -> None:
    upstream.add("a folder/file.png", BODY[:99_000])
    refused(get, file, target, IntegrityError)
    assert list(target.parent.iterdir()) == []


def test_a_body_without_a_length_is_taken_too(get: Any, file: RemoteFile, target: Path, upstream: Any) -> None:
    upstream.fail(file.origin, lambda handler: handler.whole(length=False))
    get(file)
    assert target.read_bytes() == BODY


@pytest.mark.parametrize("length", [True, False])
def test_more_than_is_expected_is_not_stored(
    get: Any, file: RemoteFile, target: Path, upstream: Any, monkeypatch: pytest.MonkeyPatch, length: bool
) -> None:
    monkeypatch.setattr(downloading, "LARGEST", len(BODY))
    upstream.add("a folder/file.png", BODY * 3)
    upstream.fail(file.origin, lambda handler: handler.whole(length=length))
    error = refused(get, file, target, FetchError)
    assert "is refused" in error.what and "at most 256000 expected" in error.what
    assert not part(target).exists()
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("code", [403, 404, 410])
def test_a_refusal_names_the_address(get: Any, file: RemoteFile, target: Path, upstream: Any, code: int) -> None:
    upstream.fail(file.origin, lambda handler: handler.refuse(code))
    error = refused(get, file, target, FetchError)
    assert f"{upstream.base}/someone/pictures/0123abcd/a%20folder/file.png is not available" in error.what
    assert f"the server answers {code}" in error.what
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("code", [429, 500, 503])
def test_a_busy_server_is_asked_again(get: Any, file: RemoteFile, target: Path, upstream: Any, code: int) -> None:
    upstream.fail(file.origin, *[lambda handler: handler.refuse(code, Retry_After="0")] * 3)
    get(file)
    assert target.read_bytes() == BODY


def test_a_server_that_asks_for_a_long_pause_is_left_alone(
    get: Any, file: RemoteFile, target: Path, upstream: Any
) -> None:
    upstream.fail(file.origin, lambda handler: handler.refuse(429, Retry_After="900"))
    error = refused(get, file, target, FetchError)
    assert "the server answers 429 Too Many Requests" in error.what
    assert "run it again in 900 s, it continues" in error.hint and "github.com/someone/pictures" in error.hint
    assert len(upstream.requests) == 1


def test_a_silent_server_is_given_up(
    get: Any, file: RemoteFile, target: Path, upstream: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "TIMEOUT", 0.1)
    upstream.fail(file.origin, *[lambda handler: handler.hang()] * 4)
    error = refused(get, file, target, FetchError)
    assert "the server was silent" in error.what


def test_a_server_that_is_not_there_is_named(file: RemoteFile, target: Path) -> None:
    with pytest.raises(FetchError, match=r"http://127\.0\.0\.1:1/.* could not be downloaded: Connection refused"):
        download(Server("http://127.0.0.1:1"), file, target, Event())


def test_redirects_stay_on_the_server_or_lead_to_https(get: Any, file: RemoteFile, target: Path, upstream: Any) -> None:
    upstream.files["/moved"] = BODY
    upstream.fail(file.origin, lambda handler: handler.refuse(302, Location="/moved"))
    get(file)
    assert target.read_bytes() == BODY
    target.unlink()
    elsewhere = upstream.base.replace("127.0.0.1", "localhost")
    for place in (f"{elsewhere}/moved", "ftp://localhost/moved", "file:///etc/hostname"):
        before = len(upstream.requests)
        upstream.fail(file.origin, partial(redirect, place=place))
        error = refused(get, file, target, FetchError)
        assert place in error.what
        assert len(upstream.requests) == before + 1


def test_a_certificate_that_proves_nothing_is_not_tried_again() -> None:
    import ssl

    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "self-signed certificate"
    found = unreachable("https://x/y", error)
    assert isinstance(found, FetchError) and "self-signed" in found.what and "SSL_CERT_FILE" in found.hint


@pytest.mark.parametrize("base", ["", "mirror.example", "file:///tmp", "ftp://mirror.example", "https://"])
def test_a_base_that_is_no_web_address_is_refused(base: str) -> None:
    with pytest.raises(ConfigurationError, match="not a web address"):
        Server(base)


def test_a_base_may_have_a_path(upstream: Any) -> None:
    file = RemoteFile("x", "a/b", "c", "d e/f#g.png", "sha256:0")
    assert Server("https://mirror.example/raw/").url(file) == "https://mirror.example/raw/a/b/c/d%20e/f%23g.png"


def test_a_folder_that_cannot_be_made_is_named(get: Any, file: RemoteFile, target: Path, tmp_path: Path) -> None:
    (tmp_path / "made").touch()
    error = refused(get, file, target, StorageError)
    assert "cannot write" in error.what and str(target) in error.what and "XDG_CACHE_HOME" in error.hint


def test_a_folder_in_the_place_of_the_file_is_named(get: Any, file: RemoteFile, target: Path) -> None:
    target.mkdir(parents=True)
    with pytest.raises(StorageError, match=r"cannot write .*file\.png"):
        get(file)


def test_a_full_disk_is_named_and_the_download_continues_later(
    file: RemoteFile, upstream: Any, mount_disk: Callable[[str], Path], tmp_path: Path
) -> None:
    disk = mount_disk("64k")
    with pytest.raises(StorageError, match=r"no space left on the disk of .*file\.png") as caught:
        download(Server(upstream.base), file, disk / "file.png", Event())
    assert "XDG_CACHE_HOME" in caught.value.hint
    assert not (disk / "file.png").exists()


def test_a_download_stops_when_it_is_told_to(file: RemoteFile, upstream: Any, target: Path) -> None:
    stop = Event()
    stop.set()
    for fault in (lambda handler: handler.whole(), lambda handler: handler.refuse(503)):
        upstream.fail(file.origin, fault)
        with pytest.raises(StoppedError):
            download(Server(upstream.base), file, target, stop)
    assert not target.exists()


def test_an_unknown_commit_is_an_error(get: Any, file: RemoteFile, target: Path) -> None:
    error = refused(get, replace(file, commit="ffff"), target, FetchError)
    assert "/ffff/" in error.what and "404" in error.what
