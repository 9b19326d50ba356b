"""A server with files at OWNER/REPOSITORY/COMMIT/PATH: requests, redirects and the meaning of its errors."""

import ssl
from http.client import HTTPException, HTTPMessage, HTTPResponse
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urljoin, urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, Request, build_opener

import segeval
from segeval.errors import ConfigurationError, FetchError
from segeval.fetching.sources import RemoteFile

TIMEOUT = 30.0
"""Seconds without a byte after which a connection counts as cut."""

BUSY = (408, 429, 500, 502, 503, 504)
"""Answers that may be another one in a moment."""

OUT_OF_RANGE = 416


class CutError(Exception):
    """What another try may cure: a connection that broke, a server that is busy.

    Attributes:
        wait: seconds that the server asks for.
    """

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


class OutOfRangeError(Exception):
    """The server has no bytes from this position on."""


class SafeRedirects(HTTPRedirectHandler):
    """Follows redirects to https, and those that stay on the server itself."""

    def __init__(self, base: str) -> None:
        self.server = urlsplit(base)[:2]

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        """The next request. Raises FetchError if it would lead to another server without encryption."""
        target = urlsplit(urljoin(req.full_url, newurl))
        if target.scheme != "https" and target[:2] != self.server:
            fp.close()
            raise FetchError(f"{req.full_url} redirects to {newurl}, which is not https", "check the server")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class Server:
    """A server of repositories. base: the URL before OWNER/REPOSITORY/COMMIT/PATH."""

    def __init__(self, base: str) -> None:
        parts = urlsplit(base)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ConfigurationError(
                f"--base {base!r} is not a web address", "for example --base https://mirror.example"
            )
        self.base = base.rstrip("/")
        https = HTTPSHandler(context=ssl.create_default_context())
        self._opener = build_opener(SafeRedirects(self.base), https)

    def url(self, file: RemoteFile) -> str:
        """The URL of a file."""
        return f"{self.base}/{quote(f'{file.repository}/{file.commit}/{file.origin}')}"

    def open(self, url: str, start: int = 0) -> HTTPResponse:
        """The answer to a request for a file from byte `start` on; the server may begin at 0 all the same.

        Raises CutError if another try may help, OutOfRangeError if there is nothing at `start`, else FetchError.
        """
        headers = {"User-Agent": f"segeval/{segeval.__version__}", "Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
        try:
            answer: HTTPResponse = self._opener.open(Request(url, headers=headers), timeout=TIMEOUT)
        except HTTPError as error:
            with error:
                raise refusal(url, error, start) from error
        except (OSError, HTTPException) as error:
            raise unreachable(url, error) from error
        return answer


def refusal(url: str, error: HTTPError, start: int) -> Exception:
    """The error for an answer other than the file."""
    said = f"{error.code} {error.reason}".rstrip()
    if error.code == OUT_OF_RANGE and start:
        return OutOfRangeError(said)
    if error.code in BUSY:
        wait = error.headers.get("Retry-After", "")
        return CutError(f"the server answers {said}", float(wait) if wait.isdecimal() else 0.0)
    hint = "check the network and the mirror; the file may also have been removed"
    return FetchError(f"{url} is not available: the server answers {said}", hint)


def unreachable(url: str, error: Exception) -> Exception:
    """The error for a connection that could not be made."""
    reason = error.reason if isinstance(error, URLError) else error
    if isinstance(reason, ssl.SSLCertVerificationError):
        return FetchError(
            f"{url}: the server cannot prove who it is: {reason.verify_message}",
            "a proxy may be opening encrypted connections; if so, set SSL_CERT_FILE to a file with its certificate",
        )
    return CutError(explained(reason))


def explained(reason: object) -> str:
    """An error of the network in words."""
    if isinstance(reason, TimeoutError):
        return f"the server was silent for {TIMEOUT:.0f} s"
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    return str(reason) or type(reason).__name__
