"""The master key, the secret matrix, sealing, and where keys are."""

from __future__ import annotations

import os
import stat
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privface_backend.errors import PrivFaceError
from privface_backend.protection.keys import GivenKeys, KeyFile, KeyFolder, KeyStore, read_given
from privface_backend.protection.master import MasterKey, read_keys
from privface_backend.protection.matrix import orthonormal
from privface_backend.protection.protection import Protection
from privface_backend.protection.sealing import SealBrokenError, Sealer
from privface_backend.protection.settings import ProtectionSettings, open_keys
from privface_backend.protocol import ErrorCode

MASTER = MasterKey(bytes(range(32)))
PLACE = ("people", "name", "1")


def unit_vectors(count: int, dimension: int, seed: int = 0) -> np.ndarray:
    drawn = np.random.default_rng(seed).normal(size=(count, dimension))
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True), dtype=np.float32)


@pytest.mark.parametrize("dimension", [1, 2, 3, 128, 160, 512])
def test_the_matrix_is_orthonormal(dimension: int) -> None:
    matrix = orthonormal(b"s" * 32, dimension)
    assert np.abs(matrix @ matrix.T - np.eye(dimension)).max() < 1e-13


def test_the_matrix_is_the_same_on_every_computer() -> None:
    """These digests came with CPython 3.11 and 3.14, numpy 2.2 and 2.3: they never change."""
    found = [sha256(orthonormal(bytes(range(32)), size).astype("<f8").tobytes()).hexdigest()[:16] for size in (3, 128)]
    assert found == ["f95fe871f49f83ce", "0d804fa6efeb881c"]


def test_another_seed_gives_a_matrix_that_has_nothing_in_common() -> None:
    one, other = orthonormal(b"a" * 32, 128), orthonormal(b"b" * 32, 128)
    assert np.abs((one * other).sum(axis=1)).max() < 0.5
    assert abs(float((one @ other.T).trace())) < 6


def test_a_projected_vector_lies_anywhere_on_the_sphere() -> None:
    """Over many seeds each coordinate of one vector has the mean, variance and kurtosis that chance gives."""
    vector = np.zeros(128)
    vector[5] = 1.0
    drawn = np.array([orthonormal(seed.to_bytes(16, "big"), 128) @ vector for seed in range(200)]) * np.sqrt(128)
    assert abs(drawn.mean()) < 0.03
    assert abs(drawn.var() - 1) < 0.01
    assert abs((drawn**4).mean() - 3 * 128 / 130) < 0.2
    assert np.abs(drawn.mean(axis=0)).max() < 0.35


@pytest.mark.parametrize(("seed", "dimension"), [(b"short", 128), (b"s" * 32, 0), (b"s" * 32, 10_000)])
def test_a_matrix_that_cannot_be(seed: bytes, dimension: int) -> None:
    with pytest.raises(ValueError, match=r"seed|dimension"):
        orthonormal(seed, dimension)


def test_vectors_come_back_bit_for_bit_and_as_alike_as_before() -> None:
    protection = Protection(MASTER, "here")
    vectors = unit_vectors(50, 128)
    sealed = [protection.seal_vector(vector, "templates", str(number)) for number, vector in enumerate(vectors)]
    opened = [protection.open_vector(data, "templates", str(number)) for number, data in enumerate(sealed)]
    assert np.array_equal(np.stack(opened), vectors)
    assert all(vector.tobytes()[:16] not in b"".join(sealed) for vector in vectors)


def test_projected_vectors_are_as_alike_as_those_they_come_from() -> None:
    matrix, vectors = orthonormal(b"k" * 32, 128), unit_vectors(50, 128).astype(np.float64)
    projected = vectors @ matrix.T
    assert np.abs(projected @ projected.T - vectors @ vectors.T).max() < 1e-12


def test_two_installations_with_one_master_key_share_nothing() -> None:
    one, other = Protection(MASTER, "here"), Protection(MASTER, "there")
    assert one.derive("matrix") != other.derive("matrix")
    assert one.lookup("door") != other.lookup("door")
    with pytest.raises(SealBrokenError):
        other.open_text(one.seal_text("Ada", *PLACE), *PLACE)


@given(st.binary(max_size=200), st.lists(st.text(max_size=5), max_size=3), st.data())
def test_what_is_sealed_opens_at_its_place_alone(data: bytes, place: list[str], draw: st.DataObject) -> None:
    sealer = Sealer(bytes(32))
    sealed = sealer.seal(data, *place)
    assert sealer.open(sealed, *place) == data
    at = draw.draw(st.integers(0, len(sealed) - 1))
    changed = bytearray(sealed)
    changed[at] ^= 1 << draw.draw(st.integers(0, 7))
    for wrong, where in (
        (bytes(changed), place),
        (sealed[:at], place),
        (sealed, [*place, ""]),
        (sealed, ["x", *place]),
    ):
        with pytest.raises(SealBrokenError):
            sealer.open(wrong, *where)
    assert sealer.seal(data, *place) != sealed


def test_a_key_as_text_and_back() -> None:
    text = MASTER.to_text()
    assert MasterKey.from_text(text) == MASTER
    assert "pfk1_" not in repr(MASTER)
    assert str(bytes(range(8))) not in repr(MASTER)
    assert MASTER.id not in text
    for at in range(5, len(text)):
        wrong = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
        with pytest.raises(ValueError, match="copied wrong"):
            MasterKey.from_text(wrong)


@pytest.mark.parametrize("text", ["", "pfk1_", "hunter2", "pfk1_" + "A" * 47, "pfk1_" + "é" * 48])
def test_what_is_no_key(text: str) -> None:
    with pytest.raises(ValueError, match="master key"):
        MasterKey.from_text(text)


def test_keys_with_remarks() -> None:
    other = MasterKey.generate()
    text = f"# old\n{MASTER.to_text()} , {other.to_text()} # new\n\n"
    assert read_keys(text) == (MASTER, other)


def private(path: Path) -> bool:
    return stat.S_IMODE(path.stat().st_mode) & 0o077 == 0


@pytest.fixture(params=["folder", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> KeyStore:
    return KeyFolder(tmp_path / "keys") if request.param == "folder" else KeyFile(tmp_path / "keys" / "master.key")


def test_a_store_makes_its_key_and_finds_it_again(store: KeyStore, tmp_path: Path) -> None:
    key = store.current()
    assert store.find(key.id) == key
    assert store.find("0" * 16) is None
    assert all(private(path) for path in (tmp_path / "keys").rglob("*"))
    successor = store.successor(key.id)
    assert successor != key
    assert {store.find(key.id), store.find(successor.id)} == {key, successor}
    assert store.retire(key.id)
    assert store.find(key.id) is None
    assert store.find(successor.id) == successor
    assert key.to_text() not in "".join(path.read_text() for path in (tmp_path / "keys").iterdir())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(PrivFaceError) as error:
        KeyFolder(tmp_path / "keys").current()
    assert error.value.code is ErrorCode.STORAGE_FAILED


def test_a_folder_where_a_file_is(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("")
    with pytest.raises(PrivFaceError) as error:
        KeyFolder(tmp_path / "keys").current()
    assert error.value.code is ErrorCode.STORAGE_FAILED
    assert "protection.keys" in (error.value.allowed or "")


@pytest.mark.parametrize("content", [b"hunter2", b"\xff\xfe", MASTER.to_text()[:-1].encode()])
def test_a_file_that_holds_no_key_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "master.key"
    path.write_bytes(content)
    with pytest.raises(PrivFaceError) as error:
        KeyFile(path).current()
    assert error.value.code is ErrorCode.KEY_MISSING
    assert content.decode("latin-1") not in error.value.message
    assert path.read_bytes() == content


def test_a_file_keeps_the_keys_of_others(tmp_path: Path) -> None:
    other = MasterKey.generate()
    path = tmp_path / "master.key"
    path.write_text(f"{other.to_text()}\n{MASTER.to_text()}\n")
    store = KeyFile(path)
    successor = store.successor(MASTER.id)
    assert store.retire(MASTER.id)
    assert (store.find(other.id), store.find(successor.id), store.find(MASTER.id)) == (other, successor, None)


def test_a_key_that_cannot_be_removed_is_not_said_to_be(tmp_path: Path) -> None:
    store = KeyFolder(tmp_path)
    (tmp_path / f"{MASTER.id}.key").mkdir()
    assert not store.retire(MASTER.id)


def test_given_keys_are_their_owner_s_to_change() -> None:
    other = MasterKey.generate()
    given_keys = read_given(f"{MASTER.to_text()}\n{other.to_text()}", "the test")
    assert given_keys.current() == other
    assert given_keys.successor(MASTER.id) == other
    assert not given_keys.retire(MASTER.id)
    alone = GivenKeys([MASTER], "the test")
    with pytest.raises(PrivFaceError) as error:
        alone.successor(MASTER.id)
    assert error.value.code is ErrorCode.KEY_MISSING
    assert "privface key new" in (error.value.allowed or "")


def test_where_the_key_is_looked_for(tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "privface-key").write_text(MASTER.to_text())
    environment = {"CREDENTIALS_DIRECTORY": str(credentials)}
    assert open_keys(ProtectionSettings(), environment).find(MASTER.id) == MASTER
    assert isinstance(open_keys(ProtectionSettings(), {}), KeyFolder)
    assert isinstance(open_keys(ProtectionSettings(key_file=tmp_path / "k"), environment), KeyFile)
    assert isinstance(open_keys(ProtectionSettings(keys=tmp_path / "k"), environment), KeyFolder)
    assert open_keys(ProtectionSettings(key=MASTER.to_text()), {}).current() == MASTER


def test_settings_that_cannot_be(tmp_path: Path) -> None:
    data = tmp_path / "data"
    inside = ProtectionSettings(keys=data / "keys", key_file=data / "key")
    assert [key for key, _ in inside.problems(data)] == ["keys", "key_file"]
    both = ProtectionSettings(key=MASTER.to_text(), key_file=tmp_path / "key")
    assert [key for key, _ in both.problems(data)] == ["key"]
    wrong = ProtectionSettings(key="hunter2")
    ((key, text),) = wrong.problems(data)
    assert key == "key"
    assert "hunter2" not in text
    assert "hunter2" not in repr(wrong)
