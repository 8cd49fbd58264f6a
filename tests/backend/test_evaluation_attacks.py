"""Attacks on anonymized frames and protected templates: formulas, restorations, the command on drawn faces."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from privface_backend.bridge.jpeg import encode_picture
from privface_backend.cli.exits import Exit
from privface_backend.domain.faces import normalized
from privface_backend.domain.frames import Pixels
from privface_backend.errors import PrivFaceError
from privface_backend.evaluation.attacks import network
from privface_backend.evaluation.attacks.casting import Cast, Shot, cast, read_crowd
from privface_backend.evaluation.attacks.network import CropPair, require_jax, train_network
from privface_backend.evaluation.attacks.observing import Observer, Restorer
from privface_backend.evaluation.attacks.regression import fit_regression
from privface_backend.evaluation.attacks.restoration import (
    Interpolation,
    KernelSource,
    RichardsonLucy,
    Wiener,
    from_spectrum,
    measure_kernel,
    measure_ratio,
    to_spectrum,
    transfer,
)
from privface_backend.evaluation.attacks.searching import Counting, SearchGallery, Target, Try, wilson
from privface_backend.evaluation.attacks.templates import (
    SEALED,
    Installations,
    attack_templates,
    find_matrix,
    link_templates,
    protect,
)
from privface_backend.evaluation.attacks.unlinkability import measure_global, measure_local, measure_unlinkability
from privface_backend.evaluation.cache import NoCache
from privface_backend.evaluation.intervals import Bootstrap
from privface_backend.evaluation.manifests import choose_household, read_households
from privface_backend.evaluation.sightings import OPEN_BAR, Looker
from privface_backend.pipeline.process import Engines, Process
from privface_backend.plugins.spec import EngineKind
from privface_backend.protection.matrix import orthonormal
from privface_backend.protocol import ErrorCode
from support import engines
from support.faces import pictures, require_data
from support.here import Here, draw_picture, move_in

pytestmark = pytest.mark.slow


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Here]:
    yield from move_in(tmp_path, monkeypatch, capsys)


def peak_ratio(one: Pixels, other: Pixels) -> float:
    """PSNR in dB, away from the borders."""
    error = (one.astype(np.float64) - other)[8:-8, 8:-8]
    return float(10 * np.log10(255**2 / np.mean(error**2)))


def send(frame: Pixels) -> Pixels:
    """A frame encoded and decoded again."""
    done, data = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 95])
    assert done
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), dtype=np.uint8)


def paint(seed: int, height: int = 97, width: int = 120) -> Pixels:
    """A picture of soft and hard shapes."""
    rng = np.random.default_rng(seed)
    picture = np.full((height, width, 3), 90, dtype=np.uint8)
    for _ in range(25):
        center = (int(rng.integers(width)), int(rng.integers(height)))
        color = tuple(int(part) for part in rng.integers(0, 256, 3))
        cv2.circle(picture, center, int(rng.integers(4, 24)), color, -1, cv2.LINE_AA)
    return np.asarray(cv2.GaussianBlur(picture, (3, 3), 0), dtype=np.uint8)


# Unlinkability


def test_alike_scores_are_unlinkable_and_separate_ones_linkable() -> None:
    rng = np.random.default_rng(1)
    same, other = rng.normal(0, 1, 20_000), rng.normal(0, 1, 20_000)
    assert measure_global(same, same) == 0
    assert measure_global(same, other) < 0.05
    assert measure_global(same + 50, other) == 1
    alike = measure_unlinkability(same[:500], other[:500])
    assert alike.value <= alike.chance + 0.05 < 0.3
    apart = measure_unlinkability(same[:500] + 3, other[:500])
    assert apart.value > 0.8 > apart.chance


def test_the_global_measure_of_uniform_scores_is_what_the_formula_says() -> None:
    # p(s | mated) = 1 on [0, 1], p(s | non-mated) = 1/2 on [0, 2]: LR = 2, D = 2 * 2 / 3 - 1 = 1/3 wherever mated.
    same = (np.arange(1000) + 0.5) / 1000
    other = (np.arange(4000) + 0.5) / 2000
    assert measure_global(same, other) == pytest.approx(1 / 3, abs=1e-2)
    local, share = measure_local(same, other)
    assert share.sum() == pytest.approx(1)
    assert set(np.round(local, 1)) == {0.0, 0.3}
    # With omega = 1/2 the ratio is 1, and nothing is told; with 2 it is 4: D = 3/5.
    assert measure_global(same, other, omega=0.5) == pytest.approx(0, abs=1e-2)
    assert measure_global(same, other, omega=2) == pytest.approx(3 / 5, abs=1e-2)


def test_wilson() -> None:
    none, half = wilson(0, 100), wilson(0.5, 100)
    assert (none.low, half.value) == (0, 0.5)
    assert none.high == pytest.approx(0.03699, abs=1e-4)
    assert half.low == pytest.approx(0.40383, abs=1e-4)
    assert half.high == pytest.approx(0.59617, abs=1e-4)
    assert np.isnan(wilson(0, 0).value)


# Restoration


@pytest.mark.parametrize("parameter", [1, 3, 17, 51])
def test_the_measured_kernel_is_the_one_that_blurs(parameter: int) -> None:
    gaussian = engines.engine(EngineKind.ANONYMIZER, "gaussian")
    kernel = measure_kernel(gaussian, parameter)
    assert kernel.sum() == pytest.approx(1)
    assert np.array_equal(kernel, kernel[::-1])
    picture = paint(0)
    plain = np.asarray(picture, dtype=np.float32)
    ours = cv2.sepFilter2D(plain, cv2.CV_32F, kernel, kernel, borderType=cv2.BORDER_REFLECT_101)
    # Two passes in 8 bits round once each at most.
    assert np.abs(ours - gaussian.apply(picture, parameter)).max() <= 1
    textbook = cv2.getGaussianKernel(max(1, parameter), 0).ravel()
    assert len(kernel) <= len(textbook)


def test_the_cosine_basis_holds_the_mirrored_blur_exactly() -> None:
    picture = np.asarray(paint(1), dtype=np.float32)
    assert np.abs(from_spectrum(to_spectrum(picture)) - picture).max() < 0.01
    kernel = np.asarray(cv2.getGaussianKernel(21, 4).ravel(), dtype=np.float32)
    wanted = cv2.sepFilter2D(picture, cv2.CV_32F, kernel, kernel, borderType=cv2.BORDER_REFLECT_101)
    found = from_spectrum(np.asarray(to_spectrum(picture) * transfer(kernel, *picture.shape[:2]), dtype=np.float32))
    # At the borders, too.
    assert np.abs(found - wanted).max() < 0.02


@pytest.mark.parametrize("parameter", [9, 17, 25])
def test_restorations_bring_a_blurred_picture_nearer_to_the_clear_one(parameter: int) -> None:
    gaussian = engines.engine(EngineKind.ANONYMIZER, "gaussian")
    kernels = KernelSource(anonymizer=gaussian)
    lessons = [paint(seed) for seed in range(5, 9)]
    ratio = measure_ratio([(one, send(gaussian.apply(one, parameter)), kernels.get(parameter)) for one in lessons])
    clear = paint(1)
    seen = send(gaussian.apply(clear, parameter))
    restorers: Sequence[Restorer] = (
        Wiener(kernels=kernels, ratio=ratio),
        RichardsonLucy(kernels=kernels, iterations=15),
    )
    for restorer in restorers:
        restored = restorer.restore(seen, parameter)
        assert restored.shape == seen.shape
        assert restored.dtype == np.uint8
        assert peak_ratio(restored, clear) > peak_ratio(seen, clear) + 0.7, restorer.name


def test_what_is_clear_stays_as_it_is() -> None:
    kernels = KernelSource(anonymizer=engines.engine(EngineKind.ANONYMIZER, "gaussian"))
    picture = paint(2)
    restorers: Sequence[Restorer] = (
        Wiener(kernels=kernels, ratio=np.zeros(48)),
        RichardsonLucy(kernels=kernels, iterations=5),
        Interpolation(mosaic=engines.engine(EngineKind.ANONYMIZER, "pixelate")),
    )
    for restorer in restorers:
        restored = restorer.restore(picture, 1)
        assert np.array_equal(restored, picture)
        assert not np.may_share_memory(restored, picture)


@pytest.mark.parametrize("cell", [4, 7])
def test_interpolation_smooths_a_mosaic(cell: int) -> None:
    clear = np.asarray(cv2.GaussianBlur(paint(3), (31, 31), 0), dtype=np.uint8)
    mosaic = engines.engine(EngineKind.ANONYMIZER, "pixelate")
    seen = mosaic.apply(clear, cell)
    restored = Interpolation(mosaic=mosaic).restore(seen, cell)
    assert restored.shape == clear.shape
    assert peak_ratio(restored, clear) > peak_ratio(seen, clear) + 3


# What is learned


def test_regression_finds_a_linear_map() -> None:
    rng = np.random.default_rng(3)
    clear = normalized(rng.normal(size=(300, 16)))
    turn = np.linalg.qr(rng.normal(size=(16, 16)))[0]
    seen = normalized(clear @ turn + 0.8 * turn[0] + rng.normal(0, 0.02, clear.shape))
    names = [str(row // 2) for row in range(200)]
    model = fit_regression(seen[:200], clear[:200], names, seed=0)
    before = (seen[200:] * clear[200:]).sum(axis=1).mean()
    after = (model.apply(seen[200:]) * clear[200:]).sum(axis=1).mean()
    assert after > 0.95 > before + 0.5
    assert np.allclose(np.linalg.norm(model.apply(seen[200:]), axis=1), 1, atol=1e-5)


def test_the_network_restores_what_it_was_not_trained_on() -> None:
    pytest.importorskip("jax", reason="the extra attack is not installed")
    pytest.importorskip("optax", reason="the extra attack is not installed")
    gaussian = engines.engine(EngineKind.ANONYMIZER, "gaussian")
    # Sides that are no whole blocks.
    clear = [paint(seed, 30, 34) for seed in range(40)]
    seen = [gaussian.apply(one, 9) for one in clear]
    pairs = [
        CropPair(anonymized=one, clear=other, relative=0.05) for one, other in zip(seen[:36], clear[:36], strict=True)
    ]
    trained = train_network(pairs, seconds=60, seed=1, most_steps=300)
    assert trained.steps == 300
    restored = trained.restore(seen[36:], [0.05] * 4)
    assert [one.shape for one in restored] == [(30, 34, 3)] * 4
    before, after = (
        np.mean((np.stack(found).astype(np.float64) - np.stack(clear[36:])) ** 2) for found in (seen[36:], restored)
    )
    assert after < before * 0.85
    again = train_network(pairs, seconds=60, seed=1, most_steps=5)
    other = train_network(pairs, seconds=60, seed=1, most_steps=5)
    assert np.array_equal(again.restore(seen[36:37], [0.05]), other.restore(seen[36:37], [0.05]))
    with pytest.raises(ValueError, match="no pair"):
        train_network([], seconds=1, seed=0)


def test_without_jax_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "find_spec", lambda _: None)
    with pytest.raises(PrivFaceError) as caught:
        require_jax()
    assert caught.value.code is ErrorCode.ENGINE_MISSING
    assert "privface-backend[attack]" in caught.value.message


# Searching


def shots(*names: str) -> list[Shot]:
    return [Shot(path=Path(f"{place}.png"), identity=name) for place, name in enumerate(names)]


def test_rank_1_and_tpir_are_counted_by_hand() -> None:
    gallery = shots("a", "b", "c")
    answers = dict(zip(gallery, np.eye(3, 4, dtype=np.float32), strict=True))
    probes = [Shot(path=Path(f"p{place}.png"), identity=name) for place, name in enumerate("aabc")]
    strangers = [Shot(path=Path(f"s{place}.png"), identity=f"x{place}") for place in range(4)]
    made = normalized(
        np.array(
            [[9, 1, 0, 0], [0, 9, 1, 0], [1, 9, 1, 1], [0, 0, 1, 9], [9, 0, 0, 9], [0, 0, 0, 1], [0, 0, 1, 9]], float
        )
    )
    found: dict[Shot, Any] = dict(zip((*probes, *strangers[:3]), made, strict=True))
    found[strangers[3]] = None
    counting = Counting(bootstrap=Bootstrap(), fpirs=(0.01, 0.25))
    target = Target(set="s", people="own", engine="e", method="m", relative=0.1, met=0.1)
    tried = Try(attack="direct", gallery=SearchGallery(gallery, answers), answers=found)
    row = counting.measure(target, [tried], probes, strangers)
    # The second probe of a looks like b; that of c is c's, but weakly: below the stranger who resembles a.
    assert row.rank1.value == 3 / 4
    assert row.tpir["0.01"].value == 2 / 4
    assert row.tpir["0.25"].value == 2 / 4 or row.tpir["0.25"].value == 3 / 4
    assert (row.gallery, row.people, row.probes, row.impostors, row.fta) == (3, 3, 4, 4, 1 / 8)
    # An empty gallery names nobody, and Wilson's interval says how sure that is.
    empty = Try(attack="direct", gallery=SearchGallery([], {}), answers=found)
    nothing = counting.measure(target, [empty], probes, [])
    assert (nothing.rank1.value, nothing.rank1.low, nothing.tpir) == (0, 0, {})
    assert 0.5 < nothing.rank1.high < 0.6


# Protected templates


def faces_of(people: int, each: int, seed: int = 0) -> tuple[list[Shot], Mapping[Shot, Any]]:
    """Templates of people who differ, with a mean of their own as real ones have."""
    rng = np.random.default_rng(seed)
    found = {}
    for person in range(people):
        center = rng.normal(size=64) + 0.3
        for place in range(each):
            shot = Shot(path=Path(f"{seed}-{person}-{place}.png"), identity=f"{seed}-{person}")
            found[shot] = normalized(center + rng.normal(0, 0.5, 64))
    return list(found), found


def test_protected_templates_are_safe_until_pairs_are_known() -> None:
    people, vectors = faces_of(150, 2)
    training, known = faces_of(140, 1, seed=1)
    impostors, others = faces_of(50, 1, seed=2)
    one = Cast(
        name="set",
        gallery=tuple(people[::2]),
        own=tuple(people[1::2]),
        crowd=(),
        impostors=tuple(impostors),
        training=tuple(training),
    )
    clear = {**vectors, **known, **others}
    installations = Installations(make=orthonormal, seed=4)
    target = Target(set="set", people="own", engine="e", method=SEALED, relative=0, met=0)
    counting = Counting(bootstrap=Bootstrap(rounds=50), fpirs=(0.1,))
    rows = {row.attack: row for row in attack_templates(one, clear, installations, counting, target)}
    assert list(rows) == ["direct", "other-key", "known-pairs-16", "known-pairs-64", "known-pairs-128"]
    # Chance is 1 in 150.
    assert rows["direct"].rank1.value < 0.05
    assert rows["other-key"].rank1.value < 0.05
    assert rows["known-pairs-16"].rank1.value < 0.5
    # 64 numbers: with as many pairs the key is known.
    assert rows["known-pairs-64"].rank1.value > 0.95
    assert rows["known-pairs-128"].rank1.value > 0.95
    keys = {row.keys: row.measured for row in link_templates(one, clear, installations, "e")}
    assert keys["none"].value > 0.9
    assert keys["one"].value > 0.9
    assert keys["two"].value < 0.15


def test_a_matrix_is_found_from_enough_pairs() -> None:
    rng = np.random.default_rng(0)
    vectors = normalized(rng.normal(size=(40, 32)))
    secret = orthonormal(bytes(range(32)), 32)
    assert np.allclose(find_matrix(vectors, protect(vectors, secret)), secret, atol=1e-3)


# Casting


def write_people(root: Path, people: int, each: int, start: int = 0) -> Path:
    """A folder a person; those after the first half have ``each`` pictures, the others one."""
    for person in range(start, start + people):
        for seed in range(1 if person < start + people // 2 else each):
            draw_picture(root / f"P{person}/{seed}.png", person, seed)
    return root


def write_home(root: Path) -> Path:
    rows = ["path,identity,role,household"]
    for person in range(4):
        for seed in range(4):
            name = draw_picture(root / f"{person}-{seed}.png", person, seed)
            rows.append(f"{name},Person {person},{'enrol' if seed < 2 else 'probe'},home")
    rows += [f"{draw_picture(root / f'{one}-0.png', one)},{one},stranger,home" for one in range(10, 18)]
    rows += [f"{draw_picture(root / f'20-{seed}.png', 20, seed)},20,stranger,home" for seed in range(3)]
    manifest = root / "set.csv"
    manifest.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return manifest


def everybody(found: Cast) -> dict[str, set[str]]:
    parts = {"gallery": found.gallery, "impostors": found.impostors, "training": found.training}
    return {name: {shot.identity for shot in part} for name, part in parts.items()}


def test_nobody_plays_two_parts(tmp_path: Path) -> None:
    households = read_households(write_home(tmp_path))
    crowd = read_crowd([write_people(tmp_path / "crowd", 20, 2, start=40)])
    # A picture of the household that the crowd has too, under another name; and a name that both have.
    stowaway = tmp_path / "crowd/Copy/0.png"
    stowaway.parent.mkdir()
    stowaway.write_bytes((tmp_path / "0-2.png").read_bytes())
    draw_picture(tmp_path / "crowd/Person 1/0.png", 1, 9)
    crowd = read_crowd([tmp_path / "crowd"])
    (found,) = cast(households, crowd, limit=5, seed=0)
    parts = everybody(found)
    assert not parts["gallery"] & parts["impostors"]
    assert not parts["gallery"] & parts["training"]
    assert not parts["training"] & parts["impostors"]
    assert "Copy" not in set().union(*parts.values())
    assert tmp_path / "crowd/Person 1/0.png" not in {
        shot.path for shot in (*found.gallery, *found.probes, *found.training)
    }
    sought = {shot.identity for shot in (*found.own, *found.crowd)}
    assert sought <= parts["gallery"]
    assert {"Person 0", "Person 1", "Person 2", "Person 3", "20"} <= sought
    # No picture is both in the gallery and searched.
    assert not {shot.path for shot in found.gallery} & {shot.path for shot in found.probes}
    assert len(parts["impostors"]) == 5
    assert {name for name in parts["impostors"] if name.isdigit()}
    assert cast(households, crowd, limit=5, seed=0) == [found]


def test_a_crowd_alone_and_strangers_alone(tmp_path: Path) -> None:
    crowd = read_crowd([write_people(tmp_path / "crowd", 20, 2)])
    (alone,) = cast([], crowd, limit=100, seed=0)
    assert (alone.name, alone.own, alone.household) == ("crowd", (), None)
    assert len({shot.identity for shot in alone.training}) == 8
    assert len(alone.impostors) == 4
    assert len(alone.gallery) == len(alone.crowd) == 8
    (home_alone,) = cast(read_households(write_home(tmp_path / "home")), {}, limit=100, seed=0)
    assert everybody(home_alone)["training"] <= {str(one) for one in range(10, 21)}
    assert home_alone.crowd == ()


def test_too_few_people_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PrivFaceError) as caught:
        cast([], read_crowd([write_people(tmp_path / "crowd", 2, 1)]), limit=5, seed=0)
    assert caught.value.code is ErrorCode.BAD_REQUEST
    assert "learn from" in caught.value.message or "not in the gallery" in caught.value.message
    (tmp_path / "nobody").mkdir()
    with pytest.raises(PrivFaceError, match="no pictures"):
        read_crowd([tmp_path / "nobody"])
    with pytest.raises(PrivFaceError, match="no such folder"):
        read_crowd([tmp_path / "nowhere"])


# Observing


def test_a_face_that_no_detector_finds_is_marked_by_hand(tmp_path: Path) -> None:
    process = Process(
        engines=Engines(
            detector=engines.engine(EngineKind.DETECTOR, "synthetic"),
            aligner=engines.engine(EngineKind.ALIGNER, "five-point"),
            recognizer=engines.engine(EngineKind.RECOGNIZER, "synthetic"),
            anonymizers={name: engines.engine(EngineKind.ANONYMIZER, name) for name in ("none", "pixelate")},
        ),
        bar=OPEN_BAR,
    )
    refused: list[Path] = []
    observer = Observer(
        looker=Looker(process=process, cache=NoCache()),
        transmit=encode_picture,
        refuse=lambda path, _: refused.append(path),
    )
    draw_picture(tmp_path / "0.png", 0)
    shot = Shot(path=tmp_path / "0.png", identity="0")
    clear = observer.look_clear(shot)
    assert clear is not None
    assert clear.face is not None
    privacy = observer.choose(shot, "pixelate", 0.5)
    assert privacy is not None
    assert observer.strength(shot, privacy) == pytest.approx(0.5, abs=0.05)
    assert observer.look(shot, privacy) is None
    interpolation = Interpolation(mosaic=engines.engine(EngineKind.ANONYMIZER, "pixelate"))
    marked = observer.look(shot, privacy, interpolation)
    assert marked is not None
    assert marked.face is not None
    assert marked.face.box == clear.face.box
    missing = Shot(path=tmp_path / "missing.png", identity="1")
    assert observer.look_clear(missing) is None
    assert observer.choose(missing, "pixelate", 0.5) is None
    assert observer.look(missing, privacy, interpolation) is None
    assert set(refused) == {missing.path}


# The command


def attack(home: Here, *arguments: str | Path) -> dict[str, Any]:
    done = home.run("evaluate", "attack", *arguments, "--json")
    assert done.code == Exit.OK, done.err
    (document,) = done.lines
    return dict(document)


def test_the_command_attacks_each_method(home: Here) -> None:
    pytest.importorskip("matplotlib")
    manifest = write_home(home.root)
    write_people(home.root / "crowd", 24, 2, start=40)
    document = attack(
        home, "--manifest", manifest, "--crowd", "crowd", "--relative", "0,0.05", "--minutes", "0", "--people", "8",
        "--plots", "plots",
    )  # fmt: skip
    assert document["schema"] == 1
    rows = document["attacks"]
    assert {(row["method"], row["relative"], row["attack"]) for row in rows} == {
        *((method, 0, "direct") for method in ("gaussian", "pixelate", "pixelate+noise")),
        *(("gaussian", 0.05, name) for name in ("direct", "matched", "wiener", "richardson-lucy", "regression")),
        *(("pixelate", 0.05, name) for name in ("direct", "matched", "interpolation", "regression")),
        *(("pixelate+noise", 0.05, name) for name in ("direct", "matched", "interpolation", "regression")),
        *(("sealed", 0, name) for name in ("direct", "other-key")),
    }  # fmt: skip
    assert {row["people"] for row in rows} == {"own", "crowd"}
    for row in rows:
        assert row["set"] == "home"
        # Noise may hide a drawn face.
        assert row["fta"] == 0 or row["method"] == "pixelate+noise"
        assert set(row["tpir"]) == {"0.01", "0.1"}
        assert row["chance"] == pytest.approx(1 / row["gallery"], abs=1e-5)
        value, low, high = row["rank1"]
        assert low <= value <= high
        if row["method"] == "sealed":
            assert value < 0.5
        else:
            assert row["met"] == pytest.approx(row["relative"], abs=0.012)
    # Drawn faces are colored cells, which a blur hardly hides.
    plain = ("gaussian", "pixelate")
    assert all(row["rank1"][0] > 0.9 for row in rows if row["attack"] == "direct" and row["method"] in plain)
    use = {(run["method"], round(run["relative"], 2)): run["tpir"]["0.01"][0] for run in document["runs"]}
    assert use.keys() == {*((method, r) for method in (*plain, "pixelate+noise") for r in (0, 0.05)), ("sealed", 0)}
    assert all(rate == 1 for (method, _), rate in use.items() if method != "pixelate+noise")
    keys = {row["keys"]: row["d_sys"] for row in document["unlinkability"]}
    assert keys["one"] > keys["two"] + 0.3
    assert {path.name for path in (home.root / "plots").iterdir()} == {"home-attack-own.png", "home-attack-crowd.png"}


def test_a_second_attack_reads_what_the_first_kept_and_prints_tables(home: Here) -> None:
    manifest = write_home(home.root)
    wanted = ("--manifest", manifest, "--relative", "0.04", "--minutes", "0", "--method", "gaussian")
    first = attack(home, *wanted)
    kept = {path: path.stat().st_mtime_ns for path in (home.data / "evaluation-cache").rglob("*.embeddings")}
    assert attack(home, *wanted) == first
    assert kept == {path: path.stat().st_mtime_ns for path in (home.data / "evaluation-cache").rglob("*.embeddings")}
    shown = home.run("evaluate", "attack", *wanted, "--output", "found.json")
    assert shown.code == Exit.OK
    assert "richardson-lucy" in shown.out
    assert "chance" in shown.out
    assert (home.root / "found.json").is_file()


def test_the_learned_attack(home: Here) -> None:
    pytest.importorskip("jax", reason="the extra attack is not installed")
    pytest.importorskip("optax", reason="the extra attack is not installed")
    write_people(home.root / "crowd", 16, 2)
    document = attack(home, "--crowd", "crowd", "--relative", "0.05", "--minutes", "0.02", "--method", "gaussian")
    (learned,) = [row for row in document["attacks"] if row["attack"] == "learned"]
    assert learned["fta"] == 0
    assert learned["rank1"][0] > 0.5
    assert document["runs"] == []


def test_without_jax_the_learned_attack_is_left_out(home: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "find_spec", lambda _: None)
    write_people(home.root / "crowd", 16, 2)
    done = home.run("evaluate", "attack", "--crowd", "crowd", "--relative", "0.05", "--method", "pixelate", "--json")
    assert done.code == Exit.OK
    assert "privface-backend[attack]" in done.err
    assert "learned" not in {row["attack"] for row in done.lines[0]["attacks"]}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((), None),
        (("--crowd", "nowhere"), "not_found"),
        (("--manifest", "nowhere.csv"), "not_found"),
        (("--manifest", "set.csv", "--relative", "2"), None),
        (("--manifest", "set.csv", "--relative", "strong"), None),
        (("--manifest", "set.csv", "--method", "paint"), "bad_privacy_parameter"),
        (("--manifest", "set.csv", "--household", "elsewhere"), "not_found"),
    ],
)
def test_what_cannot_be_used_is_refused(home: Here, arguments: Sequence[str], code: str | None) -> None:
    write_home(home.root)
    done = home.run("evaluate", "attack", *arguments, "--minutes", "0", "--json")
    assert done.code == Exit.USAGE
    if code is not None:
        assert done.error["code"] == code


def test_a_picture_that_cannot_be_read_is_said_and_has_no_face(home: Here) -> None:
    manifest = write_home(home.root)
    (home.root / "0-2.png").write_bytes(b"no picture")
    done = home.run("evaluate", "attack", "--manifest", manifest, "--relative", "0", "--minutes", "0", "--json")
    assert done.code == Exit.UNFINISHED
    assert "0-2.png" in done.err
    rows = [row for row in done.lines[0]["attacks"] if row["people"] == "own"]
    assert rows
    assert all(row["fta"] > 0 for row in rows)


# Real faces


@pytest.mark.faces
def test_real_households_are_cast() -> None:
    data = require_data()
    households = choose_household(read_households(data / "home/manifest.csv"), ["lfw_public_figures"])
    crowd = read_crowd([data / "pairs/lfw"])
    (found,) = cast(households, crowd, limit=100, seed=0)
    with (data / "home/manifest.csv").open(encoding="utf-8", newline="") as file:
        names = {row["identity"] for row in csv.DictReader(file)}
    assert not {shot.identity for shot in found.training} & names
    assert len(found.crowd) == len({shot.identity for shot in found.crowd}) == 100
    assert len({shot.identity for shot in found.gallery}) == 310


@pytest.mark.faces
@pytest.mark.parametrize("parameter", [9, 17])
def test_restorations_help_on_real_faces(parameter: int) -> None:
    gaussian = engines.engine(EngineKind.ANONYMIZER, "gaussian")
    kernels = KernelSource(anonymizer=gaussian)
    clear, *lessons = pictures("lfw", 6)
    ratio = measure_ratio([(one, send(gaussian.apply(one, parameter)), kernels.get(parameter)) for one in lessons])
    seen = send(gaussian.apply(clear, parameter))
    for restorer in (Wiener(kernels=kernels, ratio=ratio), RichardsonLucy(kernels=kernels, iterations=15)):
        assert peak_ratio(restorer.restore(seen, parameter), clear) > peak_ratio(seen, clear) + 1, restorer.name
