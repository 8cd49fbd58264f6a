"""Manifest, texts, icons and rules: what hassfest and HACS look at, and what core's own test plugin would."""

import ast
import json
import re
import sys
from pathlib import Path
from typing import Any, Final

import homeassistant.components
import pytest
import yaml
from homeassistant.const import __version__
from PIL import Image

from custom_components.privface.calibration import ISSUE
from custom_components.privface.const import DOMAIN
from custom_components.privface.issues import _KEYS as ISSUES
from custom_components.privface.looks import REASONS

COMPONENT: Final = Path(__file__).parents[2] / "custom_components/privface"
ROOT: Final = COMPONENT.parents[1]
LANGUAGES: Final = ("en", "it", "de")


def read(name: str) -> Any:
    return json.loads((COMPONENT / name).read_text(encoding="utf-8"))


def flatten(tree: Any, prefix: str = "") -> dict[str, str]:
    """The texts of a translation by their dotted keys."""
    if isinstance(tree, str):
        return {prefix: tree}
    return {key: text for name, part in tree.items() for key, text in flatten(part, f"{prefix}.{name}").items()}


ENGLISH: Final = flatten(read("translations/en.json"))


def sources() -> list[tuple[str, ast.Module]]:
    return [(path.name, ast.parse(path.read_text(encoding="utf-8"))) for path in sorted(COMPONENT.rglob("*.py"))]


class TestTranslations:
    @pytest.mark.parametrize("language", LANGUAGES)
    def test_every_language_is_whole(self, language: str) -> None:
        texts = flatten(read(f"translations/{language}.json"))
        assert set(texts) == set(ENGLISH)
        for key, text in texts.items():
            assert text.strip(), key
            assert set(re.findall(r"{(\w+)}", text)) == set(re.findall(r"{(\w+)}", ENGLISH[key])), key

    @pytest.mark.parametrize("language", [language for language in LANGUAGES if language != "en"])
    def test_translations_are_translated(self, language: str) -> None:
        texts = flatten(read(f"translations/{language}.json"))
        same = [key for key, text in texts.items() if text == ENGLISH[key] and len(text.split()) > 2]
        assert same == []

    def test_entities_have_names_and_icons(self) -> None:
        keys: dict[str, set[str]] = {}
        for name, tree in sources():
            for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
                for keyword in call.keywords:
                    if keyword.arg == "translation_key" and "Description" in ast.unparse(call.func):
                        assert isinstance(keyword.value, ast.Constant)
                        keys.setdefault(name.removesuffix(".py"), set()).add(str(keyword.value.value))
        texts, icons = read("translations/en.json")["entity"], read("icons.json")["entity"]
        assert {platform: set(entities) for platform, entities in texts.items()} == keys
        assert {platform: set(entities) for platform, entities in icons.items()} == keys
        for entities in texts.values():
            assert all(entity["name"] for entity in entities.values())

    def test_exceptions_have_texts(self) -> None:
        raised = set(re.findall(r'translation_key="(\w+)"', "\n".join(_exception_lines())))
        raised |= set(re.findall(r'PictureError\("(\w+)"', (COMPONENT / "pictures.py").read_text(encoding="utf-8")))
        known = set(read("translations/en.json")["exceptions"])
        assert raised - known == set()
        actions = (COMPONENT / "actions.py").read_text(encoding="utf-8")
        told = set(re.findall(r'^        "(\w+)",$', actions, re.MULTILINE))
        assert told - known == set()
        dynamic = {"backend_too_old", "backend_too_new", "camera_slow", "camera_failed", "locked", "opening"}
        assert known - raised - told - dynamic == set(), "texts that nothing raises"

    def test_issues_have_texts(self) -> None:
        assert set(read("translations/en.json")["issues"]) == {*ISSUES, ISSUE}

    def test_reasons_have_texts(self) -> None:
        assert set(read("translations/en.json")["entity"]["sensor"]["last_reason"]["state"]) == set(REASONS)

    def test_actions_have_texts_and_icons(self) -> None:
        declared = yaml.safe_load((COMPONENT / "services.yaml").read_text(encoding="utf-8"))
        texts = read("translations/en.json")["services"]
        assert set(texts) == set(declared) == set(read("icons.json")["services"])
        for name, action in declared.items():
            assert set(texts[name]["fields"]) == set(action["fields"])


def _exception_lines() -> list[str]:
    calls = [node for _name, tree in sources() for node in ast.walk(tree) if isinstance(node, ast.Call)]
    raised = [call for call in calls if re.search(r"(Error|Failed|NotReady)$", ast.unparse(call.func))]
    return [ast.unparse(call).replace("'", '"') for call in raised]


class TestManifest:
    def test_keys_stand_in_order(self) -> None:
        keys = list(read("manifest.json"))
        assert keys == ["domain", "name", *sorted(keys[2:])]

    def test_what_it_says(self) -> None:
        manifest = read("manifest.json")
        assert manifest["domain"] == DOMAIN == COMPONENT.name
        assert manifest["config_flow"] is True
        assert manifest["zeroconf"] == ["_privface._tcp.local."]
        assert manifest["mqtt"] == ["privface/discovery/#"]
        for key in ("documentation", "issue_tracker"):
            assert manifest[key].startswith("https://")
        assert re.fullmatch(r"\d+\.\d+\.\d+", manifest["version"])
        for owner in manifest["codeowners"]:
            assert owner.startswith("@")

    def test_the_version_is_the_backends(self) -> None:
        backend = (ROOT / "backend/privface_backend/__init__.py").read_text(encoding="utf-8")
        assert f'__version__ = "{read("manifest.json")["version"]}"' in backend.replace(": Final", "")

    def test_everything_imported_is_required(self) -> None:
        imported = set()
        for _name, tree in sources():
            for node in ast.walk(tree):
                if isinstance(node, ast.Import):
                    imported |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                    imported.add(node.module.partition(".")[0])
        foreign = imported - set(sys.stdlib_module_names) - {"homeassistant"}
        # What Home Assistant itself is made of needs no line.
        assert foreign - {"aiohttp", "PIL", "probatio", "yarl"} == set(read("manifest.json")["requirements"])

    def test_integrations_that_are_used_are_named(self) -> None:
        used = set()
        for _name, tree in sources():
            for node in ast.walk(tree):
                if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("homeassistant.comp"):
                    parts = node.module.split(".")
                    used |= {parts[2]} if len(parts) > 2 else {alias.name for alias in node.names}
        manifest = read("manifest.json")
        named = set(manifest.get("dependencies", [])) | set(manifest.get("after_dependencies", []))
        platforms = {path.stem for path in COMPONENT.glob("*.py")}
        # hassfest lets these be used without a word.
        assert used - named - platforms - {"http", "media_player", "mqtt", "zeroconf"} == set()

    def test_hacs(self) -> None:
        hacs = json.loads((ROOT / "hacs.json").read_text(encoding="utf-8"))
        known = {"name", "homeassistant", "hacs", "content_in_root", "zip_release", "filename", "hide_default_branch"}
        assert set(hacs) <= known | {"country", "persistent_directory", "render_readme"}
        assert hacs["name"] == read("manifest.json")["name"]
        year, month = (int(part) for part in hacs["homeassistant"].split(".")[:2])
        assert (2026, 10) <= (year, month) <= tuple(int(part) for part in __version__.split(".")[:2])

    def test_the_icon(self) -> None:
        for name, side in (("icon.png", 256), ("icon@2x.png", 512)):
            with Image.open(COMPONENT / "brand" / name) as icon:
                assert icon.size == (side, side)


class TestQualityScale:
    def test_it_has_every_rule(self) -> None:
        rules = yaml.safe_load((COMPONENT / "quality_scale.yaml").read_text(encoding="utf-8"))["rules"]
        components = Path(homeassistant.components.__file__).parent
        whole: set[str] = set()
        for path in components.glob("*/quality_scale.yaml"):
            whole |= set(yaml.safe_load(path.read_text(encoding="utf-8"))["rules"])
        assert set(rules) == whole

    def test_exemptions_have_reasons(self) -> None:
        rules = yaml.safe_load((COMPONENT / "quality_scale.yaml").read_text(encoding="utf-8"))["rules"]
        for name, rule in rules.items():
            if rule != "done":
                assert rule["status"] == "exempt", name
                assert len(rule["comment"]) > 20, name
