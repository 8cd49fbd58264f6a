"""What is said of a face in words."""

from __future__ import annotations

from privface_backend.protocol import FaceResult, Outcome


def describe_face(face: FaceResult) -> str:
    """What was decided about it, and by how much."""
    if face.outcome is Outcome.UNUSABLE:
        return f"unusable ({face.reason})"
    needs = f"needs {face.threshold:.2f}" if face.threshold is not None else ""
    if face.outcome is Outcome.KNOWN:
        return f"known: {face.person} ({face.score or 0:.2f}, {needs})"
    if face.score is None:
        return f"unknown ({face.reason})"
    return f"unknown ({face.reason}: nearest {face.score:.2f}, {needs})"
