"""What became of a camera's pictures, in numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(slots=True, kw_only=True)
class Counts:
    """Since the start.

    ``received``: pictures that came; of these: ``replaced`` by a newer one, ``unwanted`` (the camera is off, or waits
    for a trigger), ``stale`` (too old when it was their turn), ``refused`` (no picture, damaged, too large), ``sent``,
    ``failed`` (the backend refused them). ``superseded`` and ``disabled``: those of ``sent`` that the backend answered
    with a newer one of the camera, or with the camera being switched off. ``faceless``: those that were made flat, for
    no face was found to keep. ``lost``: how often its source was lost.
    """

    received: int = 0
    replaced: int = 0
    unwanted: int = 0
    stale: int = 0
    refused: int = 0
    sent: int = 0
    superseded: int = 0
    disabled: int = 0
    failed: int = 0
    faceless: int = 0
    lost: int = 0

    def to_dict(self) -> dict[str, int]:
        return asdict(self)
