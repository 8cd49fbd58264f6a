"""The way in for what is sealed, whoever carries it: into visits and events, to one caller, into the gallery."""

from __future__ import annotations

from dataclasses import dataclass

from privface_backend.domain.people import EnrolledFace
from privface_backend.errors import PrivFaceError
from privface_backend.gallery.service import GalleryService
from privface_backend.pipeline.cameras import Cameras
from privface_backend.pipeline.intake import Intake, whose
from privface_backend.pipeline.recognition import Recognition, Timed
from privface_backend.pipeline.recording import Seen
from privface_backend.protocol import AppliedBy, ErrorCode, FrameCard, Privacy
from privface_backend.sealed.contracts import SealedContracts
from privface_backend.sealed.enrollments import SealedEnrollment
from privface_backend.sealed.frames import METHOD, SealedFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedIntake:
    """Takes sealed frames and enrollments in."""

    contracts: SealedContracts
    recognition: Recognition
    intake: Intake
    cameras: Cameras
    gallery: GalleryService

    async def camera_frame(self, frame: SealedFrame, card: FrameCard) -> Seen:
        """A camera's frame: the newest wins, what is found becomes events, as with a picture.

        Raises:
            PrivFaceError: ``contract_mismatch``, ``bad_frame_card``, ``camera_disabled``, ``superseded``,
                ``overloaded``.
        """
        applied_by = _sender(card)

        async def identify() -> Timed:
            # Before the contract, which a camera that isn't sealed has no say in.
            self.recognition.matchers.require_sealed(card.camera)
            await self.contracts.accept(frame.terms)
            timed = await self._identify(frame, applied_by, camera=card.camera, newest=whose(card))
            # An enrollment may have changed the terms meanwhile: its faces and this frame's must not meet.
            self.contracts.check(frame.terms)
            return timed

        return await self.intake.judged_frame(card, identify)

    async def identify(self, frame: SealedFrame, card: FrameCard) -> Timed:
        """Who is in a frame, told to nobody but the caller.

        Raises:
            PrivFaceError: ``contract_mismatch``, ``bad_frame_card``, ``overloaded``.
        """
        await self.contracts.accept(frame.terms)
        return await self._identify(frame, _sender(card))

    async def enroll(self, person_id: str, enrollment: SealedEnrollment) -> EnrolledFace:
        """Add a person's face.

        Raises:
            PrivFaceError: ``contract_mismatch``, or what ``GalleryService.add_face`` raises.
        """
        if await self.contracts.renew(enrollment.terms):
            # What is followed now can't be compared with what comes from now on.
            for camera in self.cameras.all():
                if camera.name in self.recognition.matchers.cameras:
                    self.intake.drop_visits(camera.name)
        return await self.gallery.add_face(person_id, enrollment.face, picture_digest=enrollment.picture)

    async def _identify(
        self, frame: SealedFrame, applied_by: AppliedBy, *, camera: str | None = None, newest: str | None = None
    ) -> Timed:
        look = frame.to_look(applied_by)
        return await self.recognition.identify_look(look, frame.terms.engine, camera=camera, newest=newest)


def _sender(card: FrameCard) -> AppliedBy:
    """Who sealed the frame, which a card may leave out.

    Raises:
        PrivFaceError: ``bad_frame_card``: it says that something else was done to it.
    """
    claimed = card.privacy or Privacy(method=METHOD, applied_by=AppliedBy.CLIENT)
    if claimed.method != METHOD or claimed.applied_by not in {AppliedBy.CLIENT, AppliedBy.BRIDGE}:
        raise PrivFaceError(
            ErrorCode.BAD_FRAME_CARD,
            "The frame card says of a sealed frame that something else was done to it.",
            allowed="privacy.method sealed, applied_by client or bridge; or no privacy",
        )
    return claimed.applied_by
