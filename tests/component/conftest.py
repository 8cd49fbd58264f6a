"""What all tests of the component use: Home Assistant with it, and a real backend with synthetic engines.

The backend runs in a process of the interpreter that ``PRIVFACE_BACKEND_PYTHON`` names, else of ``.venv-test``, which
scripts/test makes. Sockets reach 127.0.0.1 only.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_socket

import custom_components.privface.const  # noqa: F401  # before the test plugin's own package of that name gets in front
from support.backend_process import VARIABLE, BackendProcess, DrawnPictures, Token, find_interpreter


@pytest.fixture(autouse=True)
def component_enabled(request: pytest.FixtureRequest, socket_enabled: None) -> None:
    """Let Home Assistant find the component; tests without Home Assistant don't start one."""
    if "hass" in request.fixturenames:
        # The recorder must be there before Home Assistant is.
        for name in ("recorder_mock", "enable_custom_integrations"):
            if name in request.fixturenames or name == "enable_custom_integrations":
                request.getfixturevalue(name)


@pytest.fixture(scope="session")
def backend_python() -> Path:
    """The interpreter that has the backend."""
    python = find_interpreter()
    if python is None:
        pytest.skip(f"no interpreter with the backend: scripts/test makes .venv-test; or set {VARIABLE}")
    return python


@pytest.fixture(scope="session")
def pictures(backend_python: Path, tmp_path_factory: pytest.TempPathFactory) -> DrawnPictures:
    """Draws faces: ``pictures(ADA)`` is a JPEG of one, ``pictures(ADA, STRANGER)`` of two, ``pictures()`` of nobody."""
    drawn = DrawnPictures(tmp_path_factory.mktemp("pictures"), backend_python)
    drawn.draw([f"{people}_128_160.jpg" for people in ("nobody", "1", "2", "5", "1-2", "1-5")])
    return drawn


@pytest.fixture(scope="session")
def shared_backend(backend_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackendProcess]:
    """The backend behind ``backend``."""
    # The test plugin forbids sockets before a session's fixtures are made; other hosts stay out of reach.
    pytest_socket.enable_socket()
    with BackendProcess(tmp_path_factory.mktemp("backend"), python=backend_python) as process:
        yield process


@pytest.fixture(scope="session")
def shared_token(shared_backend: BackendProcess) -> Token:
    """The token behind ``token``."""
    return shared_backend.create_token()


@pytest.fixture
def backend(shared_backend: BackendProcess) -> Iterator[BackendProcess]:
    """A backend that knows nobody, shared by the tests: to be left running, its ``token`` valid.

    Cameras and their visits stay from test to test, so a test that looks at them calls its camera as no other does.
    """
    yield shared_backend
    shared_backend.forget_everybody()


@pytest.fixture
def token(backend: BackendProcess, shared_token: Token) -> str:
    """A token of ``backend`` with all that the component needs."""
    return shared_token.text


@pytest.fixture
def own_backend(backend_python: Path, tmp_path: Path) -> Iterator[BackendProcess]:
    """A backend of the test's own, to be stopped, started again on the same port, and have its tokens revoked."""
    with BackendProcess(tmp_path / "backend", python=backend_python) as process:
        yield process
