"""What is said of a picture's anonymization to whoever gets it."""

from .anonymize import Strength
from .api.protocol import AppliedBy, Privacy


def describe_privacy(strength: Strength) -> Privacy:
    """The privacy of a frame's card."""
    noise = strength.noise
    return Privacy(
        method=strength.method,
        parameter=strength.parameter,
        applied_by=AppliedBy.CLIENT,
        epsilon=None if noise is None else noise.epsilon,
        sensitivity=None if noise is None else noise.sensitivity,
    )
