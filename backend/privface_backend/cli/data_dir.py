"""Where everything is that a run writes."""

from __future__ import annotations

from pathlib import Path

from privface_backend.errors import PrivFaceError
from privface_backend.protocol import ErrorCode


def make_data_dir(data_dir: Path) -> None:
    """Make the data directory if it isn't there, for its owner alone.

    Raises:
        PrivFaceError: ``storage_failed``.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise PrivFaceError(
            ErrorCode.STORAGE_FAILED,
            f"The data directory {data_dir} can't be made: {error.strerror}.",
            allowed="another one: privface --data-dir DIR",
        ) from None
