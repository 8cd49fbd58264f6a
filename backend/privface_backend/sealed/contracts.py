"""The contract of what is sealed: what the first user side said, kept, and held against all that comes later."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Final

from privface_backend.errors import PrivFaceError
from privface_backend.gallery.service import GalleryService
from privface_backend.pipeline.recognition import Recognition
from privface_backend.protocol import ErrorCode, WireError
from privface_backend.sealed.terms import SealedTerms
from privface_backend.storage.database import Database, StorageThread

_LOGGER: Final = logging.getLogger(__name__)
_META: Final = "sealed_terms"


class SealedContracts:
    """Keeps the terms in the database. All methods are for the event loop."""

    def __init__(
        self,
        *,
        recognition: Recognition,
        gallery: GalleryService,
        storage: StorageThread,
        database: Database,
    ) -> None:
        self._recognition: Final = recognition
        self._gallery: Final = gallery
        self._storage: Final = storage
        self._database: Final = database
        self._turn: Final = asyncio.Lock()
        self._restored = False
        self.terms: SealedTerms | None = None

    @property
    def enabled(self) -> bool:
        """Whether the backend, or a camera, is sealed."""
        return self._recognition.matchers.sealed is not None

    async def restore(self) -> None:
        """Take over what an earlier run kept, if that is of any use.

        Raises:
            PrivFaceError: ``storage_failed``.
        """
        if self.enabled:
            async with self._turn:
                await self._restore()

    async def accept(self, terms: SealedTerms) -> None:
        """Let a frame of these terms in; the first one sets what is held against all others.

        Raises:
            PrivFaceError: ``contract_mismatch``; ``storage_full``, ``storage_failed``.
        """
        self._recognition.matchers.require_sealed()
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
        matcher = self._recognition.matchers.require_sealed()
        async with self._turn:
            await self._restore()
            before = self.terms
            if before is None or (before.contract != terms.contract and not matcher.index.snapshot.templates):
                await self._set(terms)
                return before is not None
        self.check(terms)
        return False

    def check(self, terms: SealedTerms) -> None:
        """Refuse what another key sealed, or other engines made.

        Raises:
            PrivFaceError: ``contract_mismatch``.
        """
        self._recognition.matchers.require_sealed()
        held = self.terms
        if held is None or held.contract != terms.contract:
            raise PrivFaceError(
                ErrorCode.CONTRACT_MISMATCH,
                "This was sealed with another key, or made by other engines, than what is enrolled here. To start "
                "anew, remove all sealed faces, and enroll them again.",
                allowed=None if held is None else held.contract.key,
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
        _LOGGER.info("Sealed with the key %s from now on", terms.contract.sealed_with)

    async def _use(self, terms: SealedTerms) -> None:
        self._recognition.matchers.require_sealed().use(terms.contract, terms.threshold)
        await self._gallery.use_contract(terms.contract)
        self.terms = terms


def _read(kept: str) -> SealedTerms:
    try:
        return SealedTerms.from_dict(json.loads(kept))
    except (ValueError, WireError):
        raise PrivFaceError(ErrorCode.GALLERY_CORRUPT, "The kept contract of sealed mode can't be read.") from None
