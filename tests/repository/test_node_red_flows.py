"""The examples for Node-RED as files: importable, complete, without credentials. tests/node_red runs them."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples/node-red"
TESTS = ROOT / "tests/node_red"
FLOWS = sorted(EXAMPLES.glob("*.json"))
SUBFLOW = EXAMPLES / "nodes/privface-event.json"
# What Node-RED brings; the dashboard's own only in its flow.
CORE = {
    *("tab", "comment", "mqtt-broker", "mqtt in", "mqtt out", "function", "template", "switch", "debug", "inject"),
    *("http request", "http in", "http response", "link in", "link out"),
}
DASHBOARD = {"ui-base", "ui-theme", "ui-page", "ui-group", "ui-template", "ui-table"}
VARIABLE = re.compile(r"\$\{PRIVFACE_[A-Z_]+\}")

Node = dict[str, Any]


def read(path: Path) -> list[Node]:
    read = json.loads(path.read_text(encoding="utf-8"))
    return list(read["flow"]) if path == SUBFLOW else list(read)


def values(node: object) -> Iterator[str]:
    """All texts inside."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict | list):
        for inner in node.values() if isinstance(node, dict) else node:
            yield from values(inner)


def guard_of(path: Path) -> set[str]:
    return {node["func"] for node in read(path) if node.get("name") == "Still true?"}


@pytest.fixture(params=[*FLOWS, SUBFLOW], ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    assert isinstance(request.param, Path)
    return request.param


def test_there_are_flows() -> None:
    assert len(FLOWS) == 6


def test_ids_are_unique_in_all_flows_together() -> None:
    """So that all can be imported into one Node-RED."""
    ids = [node["id"] for flow in [*FLOWS, SUBFLOW] for node in read(flow)]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[0-9a-f]{16}", one) for one in ids)


def test_wires_and_links_lead_somewhere(path: Path) -> None:
    nodes = {node["id"]: node for node in read(path)}
    for node in nodes.values():
        reached = [target for wire in node.get("wires", ()) for target in wire] + node.get("links", [])
        assert set(reached) <= nodes.keys(), node["name"]
        assert len(node.get("wires", ())) == node.get("outputs", len(node.get("wires", ()))), node["name"]
        for key in ("z", "broker", "group", "page", "ui", "theme"):
            if path != SUBFLOW and node.get(key) and not VARIABLE.fullmatch(node[key]):
                assert node[key] in nodes, (node["name"], key)


def test_every_node_can_be_reached(path: Path) -> None:
    nodes = read(path)
    targets = {target for node in nodes for wire in node.get("wires", ()) for target in wire}
    begins = {"inject", "http in", "mqtt in", "comment", "link in", "ui-template"}
    for node in nodes:
        if "wires" in node and node["type"] not in begins and path != SUBFLOW:
            assert node["id"] in targets, node["name"]


def test_only_nodes_that_are_there(path: Path) -> None:
    allowed = CORE | (DASHBOARD if path.stem == "dashboard" else set())
    assert {node["type"] for node in read(path)} <= allowed


def test_no_node_of_code_asks_for_packages_or_files(path: Path) -> None:
    for node in read(path):
        assert not node.get("libs")
        assert not re.search(r"\brequire\(|\bglobal\.|\beval\(", node.get("func", ""))


def test_nothing_secret_stands_in_it(path: Path) -> None:
    for node in read(path):
        for value in (node.get("credentials") or {}).values():
            assert VARIABLE.fullmatch(value), node["name"]
        for text in values(node):
            assert not re.search(r"pf_[A-Za-z0-9_-]{20,}|://[^/\s]+:[^/\s]+@", text), node["name"]


@pytest.mark.parametrize("flow", FLOWS, ids=lambda path: path.stem)
def test_it_says_what_it_does_and_what_to_fill_in(flow: Path) -> None:
    nodes = read(flow)
    (tab,) = (node for node in nodes if node["type"] == "tab")
    comments = [node["info"] for node in nodes if node["type"] == "comment"]
    assert comments[0] == tab["info"]
    text = comments[0]
    assert "**Fill in**" in text
    assert "**Safety.**" in text
    offered = {entry["name"] for entry in tab["env"]}
    whole = flow.read_text(encoding="utf-8")
    used = set(re.findall(r'env\.get\(\\"(PRIVFACE_\w+)\\"\)', whole)) | set(re.findall(r"\$\{(PRIVFACE_\w+)\}", whole))
    assert used == offered == set(re.findall(r"^\| `(PRIVFACE_\w+)` \|", text, re.MULTILINE))
    for entry in tab["env"]:
        assert entry["type"] == "jsonata"
        assert entry["value"].startswith(f'$env("{entry["name"]}") ? $env("{entry["name"]}") : "')
        if entry["name"].endswith(("TOKEN", "PASSWORD", "USER")):
            assert entry["value"].endswith(' : ""')


def test_the_documentation_lists_flows_and_variables_with_their_defaults() -> None:
    text = (ROOT / "docs/NODE_RED.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^\| `([\w-]+)\.json` \|", text, re.MULTILINE)) == [flow.stem for flow in FLOWS]
    listed = dict(re.findall(r"^\| `(PRIVFACE_\w+)` \|[^|]*\| ([^|]*) \|$", text, re.MULTILINE))
    entries = [entry for flow in FLOWS for entry in read(flow)[0]["env"]]
    assert listed.keys() == {entry["name"] for entry in entries}
    for entry in entries:
        default = entry["value"].split(' : "')[1].rstrip('"')
        assert not default or listed[entry["name"]] == f"`{default}`", entry["name"]


def test_events_pass_the_same_guard_everywhere() -> None:
    """What comes from the topic of events goes into a guard, and the guards are one text."""
    guards: set[str] = set()
    for flow in FLOWS:
        nodes = {node["id"]: node for node in read(flow)}
        for node in nodes.values():
            if node.get("topic") == "privface/event":
                ((first,),) = node["wires"]
                assert nodes[first]["name"] == "Still true?", flow.name
                guards |= guard_of(flow)
    (guard,) = guards | guard_of(SUBFLOW)
    for rule in ("msg.retain", "event.expires_at", "Date.now()"):
        assert rule in guard


def test_other_functions_of_one_purpose_are_one_text() -> None:
    texts: dict[str, set[str]] = {}
    for flow in FLOWS:
        for node in read(flow):
            if node["type"] == "function" and node["name"] in {"Answer", "From our page?", "For the page"}:
                texts.setdefault(node["name"], set()).add(node["func"])
    assert {name: len(found) for name, found in texts.items()} == {"Answer": 1, "From our page?": 1, "For the page": 1}


def test_commands_are_never_retained() -> None:
    publishers = [node for flow in FLOWS for node in read(flow) if node["type"] == "mqtt out"]
    assert publishers
    for node in publishers:
        assert (node["retain"], node["topic"]) == ("false", ""), node["name"]


def test_what_npm_installs_is_locked_without_a_registry() -> None:
    lock = json.loads((TESTS / "package-lock.json").read_text(encoding="utf-8"))
    wanted = json.loads((TESTS / "package.json").read_text(encoding="utf-8"))["dependencies"]
    packages = lock["packages"]
    for name, version in wanted.items():
        assert packages[f"node_modules/{name}"]["version"] == version
    for place, package in packages.items():
        assert "resolved" not in package, place
        assert not place or package.get("integrity", "").startswith("sha512-") or package.get("inBundle"), place


def test_the_module_says_what_it_is() -> None:
    package = json.loads((EXAMPLES / "nodes/package.json").read_text(encoding="utf-8"))
    meta = json.loads(SUBFLOW.read_text(encoding="utf-8"))["meta"]
    assert (meta["module"], meta["version"]) == (package["name"], package["version"])
    for name in (*package["files"], *package["node-red"]["nodes"].values(), "README.md"):
        assert (EXAMPLES / "nodes" / name).is_file()
