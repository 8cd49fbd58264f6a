"""How ``privface`` starts: what it imports, where its options may stand, what its exit codes are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import privface_backend
from privface_backend.cli.application import app
from privface_backend.cli.exits import Exit, exit_for
from privface_backend.cli.invocation import to_front
from privface_backend.protocol import API_VERSION, ErrorCode
from support.cli import NO_BROKER, SYNTHETIC, Home

HEAVY = ("aiohttp", "aiomqtt", "amqtt", "av", "cv2", "deepface", "numpy", "onnxruntime", "PIL", "voluptuous", "yaml")
REPORT = f"""
import atexit, json, sys
atexit.register(lambda: print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]), file=sys.stderr))
from privface_backend.cli import main
sys.exit(main())
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(root=tmp_path)
    made.configure(SYNTHETIC + NO_BROKER)
    return made


@pytest.mark.parametrize(
    "arguments",
    [
        ["version"],
        ["version", "--json"],
        ["--version"],
        ["--help"],
        ["identify", "--help"],
        ["people", "--help"],
        ["evaluate", "--help"],
        ["evaluate", "household", "--help"],
        ["models", "--help"],
        ["nonsense"],
    ],
)
def test_help_and_version_import_nothing_heavy(arguments: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", REPORT, *arguments], capture_output=True, text=True, check=False)
    assert json.loads(done.stderr.splitlines()[-1]) == []
    assert done.returncode == (Exit.USAGE if arguments == ["nonsense"] else Exit.OK)


def test_version_imports_no_command_line_library() -> None:
    script = "import sys; from privface_backend.cli import main; main(['version']); assert 'typer' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


@pytest.mark.parametrize("arguments", [["version"], ["--version"], ["--config", "nowhere.yaml", "--version"]])
def test_version(home: Home, arguments: list[str]) -> None:
    done = home.run(*arguments)
    assert (done.code, done.out) == (Exit.OK, f"privface {privface_backend.__version__} (API {API_VERSION})\n")


def test_version_for_programs(home: Home) -> None:
    for arguments in (["version", "--json"], ["--json", "version"]):
        assert home.run(*arguments).lines == [{"version": privface_backend.__version__, "api_version": API_VERSION}]


def test_options_may_stand_anywhere() -> None:
    assert to_front(["identify", "a.jpg", "--data-dir", "d", "--json", "--config=c.yaml"]) == [
        "--data-dir",
        "d",
        "--json",
        "--config=c.yaml",
        "identify",
        "a.jpg",
    ]
    assert to_front(["identify", "--", "--json"]) == ["identify", "--", "--json"]
    assert to_front(["identify", "--data-dir"]) == ["--data-dir", "identify"]
    assert to_front([]) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["--data-dir", "there", "people", "list"],
        ["people", "--data-dir", "there", "list"],
        ["people", "list", "--data-dir", "there"],
        ["people", "list", "--data-dir=there"],
    ],
)
def test_the_data_directory_may_be_named_before_and_after(home: Home, arguments: list[str]) -> None:
    assert home.run(*arguments).code == Exit.OK
    assert (home.root / "there" / "privface.db").is_file()
    assert not home.data.exists()


def test_the_environment_names_the_data_directory(home: Home) -> None:
    assert home.run("people", "list").out == "Nobody is enrolled. Enroll people with: privface enroll DIR\n"
    assert (home.data / "privface.db").is_file()
    assert home.data.stat().st_mode & 0o777 == 0o700


def test_the_demo_s_data_directory_is_for_its_owner_alone(home: Home) -> None:
    nobody = "http://127.0.0.1:9"
    done = home.run("demo", HTTPS_PROXY=nobody, HTTP_PROXY=nobody, https_proxy=nobody, http_proxy=nobody)
    assert done.code != Exit.OK
    for folder in (home.data, home.data / "demo"):
        assert folder.stat().st_mode & 0o777 == 0o700


def test_a_data_directory_that_is_a_file(home: Home) -> None:
    home.data.write_text("")
    for command in (["people", "list"], ["serve", "--port", "0"]):
        done = home.run(*command)
        assert done.code == Exit.STORAGE
        assert "can't be made" in done.err
    assert home.data.read_text() == ""


def test_wrong_settings_end_every_command(home: Home) -> None:
    home.configure("server: {port: x}\nnonsense: 1\n")
    done = home.run("people", "list", "--json")
    assert done.code == Exit.USAGE
    assert done.error["code"] == "settings_invalid"
    assert done.error["details"]["problems"] == [
        "privface.yaml, line 1: server.port: expected a whole number",
        "privface.yaml, line 2: nonsense: no such setting",
    ]


def test_a_configuration_that_is_not_there(home: Home) -> None:
    done = home.run("people", "list", "--config", "nowhere.yaml")
    assert done.code == Exit.USAGE
    assert "nowhere.yaml: can't be read: No such file or directory" in done.err


@pytest.mark.parametrize("arguments", [["nonsense"], ["identify"], ["enroll"], ["serve", "--port", "x"], ["people"]])
def test_wrong_usage(arguments: list[str]) -> None:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == Exit.USAGE
    assert "Usage: " in result.output


def test_help_explains_the_exit_codes() -> None:
    shown = CliRunner().invoke(app, ["--help"]).output
    for code in Exit:
        assert f"{code:d} " in shown.replace("\n", " ")
    assert "--data-dir" in CliRunner().invoke(app, ["identify", "--help"]).output


def test_every_code_has_an_exit() -> None:
    assert exit_for(ErrorCode.BAD_PRIVACY_PARAMETER) is Exit.USAGE
    assert exit_for(ErrorCode.WEIGHTS_MISSING) is Exit.ENGINES
    assert exit_for(ErrorCode.GALLERY_CORRUPT) is Exit.STORAGE
    assert exit_for(ErrorCode.PORT_IN_USE) is Exit.NETWORK
    assert exit_for(ErrorCode.INTERNAL) is Exit.INTERNAL
    assert exit_for(ErrorCode.NO_FACE) is Exit.UNFINISHED


def test_a_reader_that_goes_away_ends_it_quietly(home: Home) -> None:
    with home.start("models", "list", "--json") as child:
        assert child.process.stdout is not None
        child.process.stdout.close()
        child.process.stdout = open(os.devnull, "rb")  # noqa: SIM115, PTH123  # closed with the child
        child.wait()
    assert "Traceback" not in child.err
    assert child.process.returncode != Exit.INTERNAL
