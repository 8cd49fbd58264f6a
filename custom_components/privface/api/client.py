"""A backend's REST interface and stream, for one home."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlsplit

import aiohttp

from .answers import read_answer, translated_errors
from .calibration import Calibration
from .errors import AddressError, AuthenticationError, NotPrivFaceError, RefusedError
from .models import Enrollment, FrameAnswer, Info, Person, Receipt, check_version
from .protocol import ErrorCode, FrameCard, Identification, Privacy, WireError
from .shapes import read_list
from .stream import Stream, StreamListener, StreamRules

T = TypeVar("T")
_API: Final = "/api/v1"
_JSON: Final = "application/json"
_PICTURE: Final = "image/jpeg"
_CALIBRATION_SECONDS: Final = 330.0


class PrivFaceClient:
    """Talks to the backend at ``url``. Verifying its certificate is the session's business.

    Every method raises a ``ClientError`` if it can't give what it should; ``timeout``, in seconds, is for a whole
    request. Pictures are JPEG, or what else the backend reads.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        token: str = "",
        *,
        timeout: float = 30.0,
        stream_rules: StreamRules | None = None,
    ) -> None:
        """Take a session, which stays the caller's; nothing is sent yet.

        Raises:
            AddressError: ``url`` can't be a backend's.
        """
        self.url: Final = _normalize(url)
        self._session: Final = session
        self._token: Final = token
        self._timeout: Final = timeout
        self._stream_rules: Final = stream_rules or StreamRules()

    def __repr__(self) -> str:
        """Show where, without the token."""
        return f"PrivFaceClient({self.url!r})"

    async def info(self) -> Info:
        """How the backend stands.

        Raises:
            ApiVersionError: it and this client have no version in common.
        """
        return await self._request("GET", "/info", _read_info)

    async def hand_over_key(self, key: str) -> None:
        """Give a backend its master key; one that is open already says whether it is the one."""
        await self._request("PUT", "/key", lambda data: data["key"], data=_document(key=key))

    async def people(self) -> tuple[Person, ...]:
        """Everybody who is enrolled, oldest first."""
        return await self._request("GET", "/people", lambda data: read_list(data, "people", Person.from_dict))

    async def send_frame(self, camera: str, picture: bytes, card: FrameCard) -> FrameAnswer:
        """Send a camera's frame: what it shows becomes events."""
        path = f"/cameras/{_segment(camera)}/frames"
        return await self._request("POST", path, FrameAnswer.from_dict, data=_picture_form(picture, card))

    async def identify(self, picture: bytes, card: FrameCard) -> Identification:
        """Who is in a picture; nobody else hears of it."""
        return await self._request("POST", "/identify", Identification.from_dict, data=_picture_form(picture, card))

    async def create_person(self, name: str) -> Person:
        """Add a person, without faces."""
        return await self._request("POST", "/people", Person.from_dict, data=_document(name=name))

    async def rename_person(self, person_id: str, name: str) -> Person:
        """Give a person another name."""
        path = f"/people/{_segment(person_id)}"
        return await self._request("PATCH", path, Person.from_dict, data=_document(name=name))

    async def forget_person(self, person_id: str) -> Receipt:
        """Remove a person, their faces, and every event that names them."""
        return await self._request("DELETE", f"/people/{_segment(person_id)}", Receipt.from_dict)

    async def enroll(
        self, person_id: str, versions: Sequence[tuple[bytes, Privacy]], *, largest: bool = False
    ) -> Enrollment:
        """Enroll a face from ``versions`` of one picture, each anonymized at another strength. ``largest``: the
        largest of several faces. Each version has the time of a request."""
        form = aiohttp.FormData()
        form.add_field("versions", "1")
        # No time: a clock that is ahead is no reason to refuse an enrollment.
        form.add_field("cards", json.dumps([{"privacy": privacy.to_dict()} for _, privacy in versions]))
        if largest:
            form.add_field("choose", "largest")
        for picture, _ in versions:
            form.add_field("file", picture, filename="picture.jpg", content_type=_PICTURE)
        path, seconds = f"/people/{_segment(person_id)}/faces", self._timeout * max(1, len(versions))
        return await self._request("POST", path, Enrollment.from_dict, data=form, seconds=seconds)

    async def calibration(self) -> Calibration:
        """How the gallery is calibrated, without measuring anything."""
        return await self._request("GET", "/calibration", Calibration.from_dict)

    async def calibrate(self, floor: float) -> Calibration:
        """Measure anew. ``floor``: the share of the enrolled faces that should still be named rightly, 0.5 to 1."""
        read, seconds = Calibration.from_dict, _CALIBRATION_SECONDS
        return await self._request("POST", "/calibration", read, data=_document(floor=floor), seconds=seconds)

    async def listen(self, listener: StreamListener) -> None:
        """Follow the backend until cancelled, and come back to it whenever the connection is lost.

        Raises:
            AuthenticationError, ForbiddenError, ApiVersionError: coming back makes no sense.
        """
        stream = Stream(
            session=self._session,
            url=f"{self.url}{_API}/stream",
            headers=self._headers,
            timeout=self._timeout,
            rules=self._stream_rules,
        )
        await stream.follow(listener)

    async def _request(
        self,
        method: str,
        path: str,
        read: Callable[[Mapping[str, Any]], T],
        *,
        data: aiohttp.FormData | aiohttp.BytesPayload | None = None,
        seconds: float | None = None,
    ) -> T:
        """Send a request to the address itself, never to another one that it points to, and ``read`` its answer."""
        headers, timeout = self._headers(), aiohttp.ClientTimeout(total=seconds or self._timeout)
        with translated_errors():
            async with self._session.request(
                method,
                f"{self.url}{_API}{path}",
                data=data,
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
                raise_for_status=False,
            ) as response:
                document = await read_answer(response)
        try:
            return read(document)
        except WireError:
            raise NotPrivFaceError from None

    def _headers(self) -> dict[str, str]:
        """The headers of every request.

        Raises:
            AuthenticationError: the token is none that could be sent.
        """
        if not self._token:
            return {}
        if not self._token.isascii() or not self._token.isprintable():
            raise AuthenticationError(ErrorCode.UNAUTHENTICATED, "That is no token.")
        return {"Authorization": f"Bearer {self._token}"}


def _normalize(url: str) -> str:
    """The address without a trailing slash."""
    try:
        parts = urlsplit(url.strip())
        usable = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        # Its text can quote the address.
        raise AddressError from None
    if not usable or parts.scheme not in {"http", "https"} or "@" in parts.netloc or parts.query or parts.fragment:
        raise AddressError
    return f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/")


def _segment(name: str) -> str:
    """A name as one segment of a path.

    Raises:
        RefusedError: it can't be one.
    """
    if name in {"", ".", ".."}:
        raise RefusedError(ErrorCode.BAD_REQUEST, "That can't be a name of a camera or the id of a person.")
    return quote(name, safe="")


def _read_info(data: Mapping[str, Any]) -> Info:
    # What else a backend of another version says may have another shape.
    check_version(data)
    return Info.from_dict(data)


def _document(**values: str | float) -> aiohttp.BytesPayload:
    return aiohttp.BytesPayload(json.dumps(values).encode(), content_type=_JSON)


def _picture_form(picture: bytes, card: FrameCard) -> aiohttp.FormData:
    form = aiohttp.FormData()
    form.add_field("card", json.dumps(card.to_dict()), content_type=_JSON)
    form.add_field("file", picture, filename="picture.jpg", content_type=_PICTURE)
    return form
