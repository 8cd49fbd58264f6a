"""The contract of a sealed backend: what the first user side said, kept, and held against all that comes later."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Final

from privface_backend.domain.matching import Contract
from privface_backend.errors import PrivFaceError
from privface_backend.gallery.service import GalleryService
from privface_backend.pipeline.recognition import Recognition
from privface_backend.protocol import ErrorCode, WireError
from privface_backend.sealed.terms import SealedTerms
from privface_backend.storage.database import Database, StorageThread

_LOGGER: Final = logging.getLogger(__name__)
_META: Final = "sealed_terms"


class SealedContracts:
    """Keeps the terms in the database. All methods are for the event loop; ``enabled``: the backend is sealed."""

    def __init__(
        self,
        *,
        recognition: Recognition,
        gallery: GalleryService,
        storage: StorageThread,
        database: Database,
        enabled: bool,
    ) -> None:
        self._recognition: Final = recognition
        self._gallery: Final = gallery
        self._storage: Final = storage
        self._database: Final = database
        self._turn: Final = asyncio.Lock()
        self._restored = False
        self.enabled: Final = enabled
        self.terms: SealedTerms | None = None

    async def restore(self) -> None:
        """Take over what an earlier run kept.

        Raises:
            PrivFaceError: ``storage_failed``.
        """
        async with self._turn:
            await self._restore()

    async def accept(self, terms: SealedTerms) -> None:
        """Let a frame of these terms in; the first one sets what is held against all others.

        Raises:
            PrivFaceError: ``contract_mismatch``; ``storage_full``, ``storage_failed``.
        """
        self._require_enabled()
        async with self._turn:
            await self._restore()
            if self.terms is None:
                await self._set(terms)
        self.check(terms)

    async def renew(self, terms: SealedTerms) -> bool:
        """Let an enrollment of these terms in; it takes the place of others under which nobody is enrolled. Whether it
        did.

        Raises:
            PrivFaceError: as ``accept``.
        """
        self._require_enabled()
        async with self._turn:
            await self._restore()
            before = self.terms
            if before is None or (before.contract != terms.contract and not self._gallery.snapshot.templates):
                await self._set(terms)
                return before is not None
        self.check(terms)
        return False

    def check(self, terms: SealedTerms) -> None:
        """Refuse what another key sealed, or other engines made.

        Raises:
            PrivFaceError: ``contract_mismatch``.
        """
        self._require_enabled()
        held = self.terms
        if held is None or held.contract != terms.contract:
            raise PrivFaceError(
                ErrorCode.CONTRACT_MISMATCH,
                "This was sealed with another key, or made by other engines, than what is enrolled here. To start "
                "anew, remove everybody's faces, and enroll them again.",
                allowed=None if held is None else held.contract.key,
            )

    def _require_enabled(self) -> None:
        if not self.enabled:
            raise PrivFaceError(
                ErrorCode.CONTRACT_MISMATCH,
                "This backend looks at pictures itself, and takes nothing that is sealed.",
                allowed="a backend with privacy.sealed: true",
            )

    async def _restore(self) -> None:
        """Nothing may come before what an earlier run kept: it would take its place."""
        if not self._restored:
            kept = await self._storage.call(self._database.get_meta, _META)
            if kept is not None:
                await self._use(_read(kept))
            self._restored = True

    async def _set(self, terms: SealedTerms) -> None:
        await self._storage.call(self._database.set_meta, _META, json.dumps(terms.to_dict()), secret=True)
        await self._use(terms)
        _LOGGER.info("Sealed with the key %s from now on", _key_id(terms.contract))

    async def _use(self, terms: SealedTerms) -> None:
        self._recognition.use_sealed(terms.contract, terms.threshold)
        await self._gallery.use_contract(terms.contract)
        self.terms = terms


def _key_id(contract: Contract) -> str:
    return contract.recognizer.split(":")[1]


def _read(kept: str) -> SealedTerms:
    try:
        return SealedTerms.from_dict(json.loads(kept))
    except (ValueError, WireError):
        raise PrivFaceError(ErrorCode.GALLERY_CORRUPT, "The kept contract of sealed mode can't be read.") from None
