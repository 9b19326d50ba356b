"""Names of images, which must be valid file names on every system that a set is copied to."""

import re

from segeval.errors import DataError
from segeval_runner.strict import UNPRINTABLE

UNSAFE = re.compile(r"""^[.\- ] | [. ]$ | [\x00-\x1f\x7f/\\:*?"<>|] | [\ud800-\udfff] | ^$""", re.VERBOSE)
"""What makes a name unusable as a file name on one of these systems."""

LONGEST = 150
"""In bytes, so that a suffix still fits into the 255 of a file name."""


def is_safe(name: object) -> bool:
    """Whether a name is a valid file name on every system."""
    if not isinstance(name, str) or UNSAFE.search(name) or UNPRINTABLE.search(name):
        return False
    return len(name.encode()) <= LONGEST


def require_name(name: object, where: str) -> None:
    """Raise DataError, beginning with `where`, for what is no safe file name."""
    if not is_safe(name):
        raise DataError(
            f"{where}: not a safe name for the files made from it",
            f'rename the image: no hidden file, none of /\\:*?"<>|, no control character, at most {LONGEST} bytes',
        )
