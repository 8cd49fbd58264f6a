"""The cache of embeddings: whole or missing, and its owner's alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from privface_backend.errors import PrivFaceError
from privface_backend.evaluation.cache import Entry, FolderCache
from privface_backend.evaluation.sightings import OPEN_BAR, Looker, pack_sightings, unpack_sightings
from privface_backend.protocol import ErrorCode, Privacy
from support.process import RecordingDetector, make_process
from support.videos import scene

VECTORS = np.arange(6, dtype=np.float32).reshape(2, 3)


def only_file(folder: Path) -> Path:
    (file,) = (path for path in folder.rglob("*") if path.is_file())
    return file


def test_what_was_put_comes_back(tmp_path: Path) -> None:
    cache = FolderCache(tmp_path / "cache")
    assert cache.get("key") is None
    cache.put("key", Entry(notes={"rows": [1, None]}, vectors=VECTORS))
    found = cache.get("key")
    assert found is not None
    assert found.notes == {"rows": [1, None]}
    assert np.array_equal(found.vectors, VECTORS)
    assert cache.get("other") is None
    empty = Entry(notes={}, vectors=np.empty((0, 0), dtype=np.float32))
    cache.put("key", empty)
    again = cache.get("key")
    assert again is not None
    assert again.vectors.shape == (0, 0)


def test_files_are_their_owners_alone(tmp_path: Path) -> None:
    cache = FolderCache(tmp_path / "cache")
    cache.put("key", Entry(notes={}, vectors=VECTORS))
    file = only_file(tmp_path)
    assert file.stat().st_mode & 0o777 == 0o600
    assert all(folder.stat().st_mode & 0o777 == 0o700 for folder in (file.parent, tmp_path / "cache"))


def test_a_damaged_file_counts_as_missing(tmp_path: Path) -> None:
    cache = FolderCache(tmp_path)
    cache.put("key", Entry(notes={}, vectors=VECTORS))
    file = only_file(tmp_path)
    whole = file.read_bytes()
    for damaged in (b"", whole[:-1], whole[:30], whole[:-2] + b"\xff\xff", b"x" + whole[1:]):
        file.write_bytes(damaged)
        assert cache.get("key") is None
    file.write_bytes(whole)
    assert cache.get("key") is not None


def test_another_keys_file_is_not_taken(tmp_path: Path) -> None:
    cache = FolderCache(tmp_path)
    cache.put("one", Entry(notes={}, vectors=VECTORS))
    content = only_file(tmp_path).read_bytes()
    cache.put("two", Entry(notes={}, vectors=VECTORS + 1))
    for file in tmp_path.rglob("*.embeddings"):
        file.write_bytes(content)
    assert cache.get("two") is None


def test_clearing_removes_what_is_its_own(tmp_path: Path) -> None:
    cache = FolderCache(tmp_path)
    for key in ("one", "two"):
        cache.put(key, Entry(notes={}, vectors=VECTORS))
    (tmp_path / "holiday.jpg").touch()
    assert cache.clear() == 2
    assert [path.name for path in tmp_path.rglob("*")] == ["holiday.jpg"]
    assert FolderCache(tmp_path / "nowhere").clear() == 0


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PrivFaceError) as caught:
        FolderCache(tmp_path / "file").put("key", Entry(notes={}, vectors=VECTORS))
    assert caught.value.code is ErrorCode.STORAGE_FAILED


def test_a_picture_is_looked_at_once_for_each_strength(tmp_path: Path) -> None:
    import cv2

    path = tmp_path / "a.png"
    cv2.imwrite(str(path), scene(3))
    process = make_process(bar=OPEN_BAR)
    detector = RecordingDetector(process.engines.detector)
    engines = type(process.engines)(
        detector=detector,
        aligner=process.engines.aligner,
        recognizer=process.engines.recognizer,
        anonymizers=process.engines.anonymizers,
    )
    looker = Looker(process=make_process(engines=engines, bar=OPEN_BAR), cache=FolderCache(tmp_path / "cache"))
    first = looker.look(looker.open(path), Privacy(method="gaussian", parameter=9))
    second = looker.look(looker.open(path), Privacy(method="gaussian", parameter=9))
    assert len(detector.shown) == 1
    assert first is not None
    assert second is not None
    assert first.face is not None
    assert second.face is not None
    assert np.array_equal(first.vector, second.vector)
    assert (first.level, first.quality, first.face.box) == (second.level, second.quality, second.face.box)
    assert first.face.landmarks is not None
    assert second.face.landmarks is not None
    assert np.array_equal(first.face.landmarks, second.face.landmarks)
    looker.look(looker.open(path), Privacy(method="gaussian", parameter=11))
    assert len(detector.shown) == 2
    assert len(looker.enroll(looker.open(path))) == len(looker.enroll(looker.open(path))) > 1
    assert len(detector.shown) == 3
    path.write_bytes(path.read_bytes() + b"\0")
    looker.look(looker.open(path), Privacy(method="gaussian", parameter=9))
    assert len(detector.shown) == 4


def test_a_picture_without_a_face_is_remembered_too(tmp_path: Path) -> None:
    packed = pack_sightings([])
    cache = FolderCache(tmp_path)
    cache.put("key", packed)
    found = cache.get("key")
    assert found is not None
    assert unpack_sightings(found) == []
