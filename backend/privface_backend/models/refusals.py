"""What the store says when a file can't be given: in plain words, with what to type."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from privface_backend.errors import PrivFaceError
from privface_backend.models.weights import Status, WeightsFile
from privface_backend.protocol import ErrorCode


def by_hand(entry: WeightsFile, expected: str | None) -> str:
    """How to bring the file without a network."""
    trust = "" if expected is not None else " --trust-first-use"
    mark = f"sha256 {expected}" if expected is not None else "its publisher gives no checksum"
    return (
        f"Without a network: copy the file {PurePosixPath(entry.file).name} ({mark}) into a folder DIR "
        f"and type: privface models import{trust} DIR"
    )


def refusal(entry: WeightsFile, expected: str | None, path: Path, status: Status) -> PrivFaceError:
    """Why a file that is not ``PRESENT`` is not loaded."""
    trust = "" if expected is not None else " --trust-first-use"
    fetch = f"privface models fetch{trust} {entry.name}"
    if status is Status.MISSING:
        message = f"The weights {entry.name} are missing. Type: {fetch}\n{by_hand(entry, expected)}"
    elif status is Status.MISMATCHED:
        message = (
            f"{path} is not the file that it should be, and is not loaded. Type: {fetch}\n{by_hand(entry, expected)}"
        )
    else:
        message = (
            f"The publisher of {entry.name} gives no checksum, so that nothing shows whether the file is the right "
            f"one. To take it as it comes, and hold to it from then on, type: {fetch}"
        )
    code = ErrorCode.WEIGHTS_MISSING if status is Status.MISSING else ErrorCode.WEIGHTS_MISMATCH
    return PrivFaceError(code, message, details={"weights": entry.name, "status": status.value})
