"""The files that a request may name: those that lie in one folder."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode


def read_file(folder: Path | None, name: str, limit: int) -> bytes:
    """A regular file that lies in ``folder`` itself. ``name`` is a plain file's name.

    Raises:
        PrivFaceError: ``path_not_allowed``: there is no folder, or it is a link or no file; ``not_found``;
            ``body_too_large``.
    """
    if folder is None:
        raise PrivFaceError(
            ErrorCode.PATH_NOT_ALLOWED,
            "Files are not opened by their names.",
            allowed="a camera's link; or the setting dht.folder, for the files that lie there",
        )
    try:
        # A pipe would be waited for.
        file = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG}:
            raise PrivFaceError(ErrorCode.NOT_FOUND, "There is no such file in dht.folder.") from None
        raise _not_allowed() from None
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise _not_allowed()
        with os.fdopen(file, "rb", closefd=False) as opened:
            data = opened.read(limit + 1)
    except OSError:
        raise _not_allowed() from None
    finally:
        os.close(file)
    if len(data) > limit:
        raise PrivFaceError(ErrorCode.BODY_TOO_LARGE, "The file is too large.", allowed=f"at most {limit} bytes")
    return data


def _not_allowed() -> PrivFaceError:
    return PrivFaceError(
        ErrorCode.PATH_NOT_ALLOWED, "That file can't be opened.", allowed="a regular, readable file in dht.folder"
    )
