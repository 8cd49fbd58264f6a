"""What a user side's templates have in common, without which none may be compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from privface_backend.domain.matching import Contract
from privface_backend.protocol import EngineNames, WireError
from privface_backend.sealed.wire import LARGEST_DIMENSION, read_number, read_text

_LONGEST_KEY: Final = 512
_LONGEST_NAME: Final = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedTerms:
    """The sealed contract, the user side's engines, and the published threshold of its recognizer for clear pairs."""

    contract: Contract
    engine: EngineNames
    threshold: float

    def to_dict(self) -> dict[str, Any]:
        return {
            "contract": self.contract.key,
            "detector": self.engine.detector,
            "recognizer": self.engine.recognizer,
            "threshold": round(self.threshold, 6),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], key: str = "terms") -> Self:
        """Read them.

        Raises:
            WireError: they are none.
        """
        return cls(
            contract=_read_contract(data.get("contract"), f"{key}.contract"),
            engine=EngineNames(
                detector=read_text(data.get("detector"), f"{key}.detector", _LONGEST_NAME),
                recognizer=read_text(data.get("recognizer"), f"{key}.recognizer", _LONGEST_NAME),
            ),
            threshold=read_number(data.get("threshold"), f"{key}.threshold", -0.99, 0.99),
        )


def _read_contract(value: object, key: str) -> Contract:
    expected = "sealed:KEY:RECOGNIZER|DIGEST|DIMENSION|ALIGNMENT"
    try:
        contract = Contract.from_key(read_text(value, key, _LONGEST_KEY))
        contract.unsealed()
    except ValueError:
        raise WireError(key, expected) from None
    if not 1 < contract.dimension <= LARGEST_DIMENSION or contract.key != value:
        raise WireError(key, expected)
    return contract
