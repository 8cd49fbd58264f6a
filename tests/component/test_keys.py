"""A backend that waits for its master key: made with the entry, kept there, handed over at each connect."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from homeassistant.config_entries import SOURCE_RECONFIGURE, SOURCE_USER, ConfigEntry, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.privface.const import CONF_KEY, DOMAIN
from custom_components.privface.diagnostics import async_get_config_entry_diagnostics
from custom_components.privface.keys import make_key
from support.waiting_backend import WaitingBackend


@pytest.fixture
def waiting(backend_python: Path, tmp_path: Path) -> Iterator[WaitingBackend]:
    backend = WaitingBackend(tmp_path, backend_python)
    try:
        yield backend
    finally:
        backend.close()


def state_of(entry: ConfigEntry) -> ConfigEntryState:
    """Its state now."""
    return entry.state


async def add(hass: HomeAssistant, backend: WaitingBackend) -> Any:
    result = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    values = {"url": f"127.0.0.1:{backend.port}", "token": backend.token, "verify_ssl": True}
    result = await hass.config_entries.flow.async_configure(result["flow_id"], values)
    await hass.async_block_till_done()
    return result


async def test_a_backend_gets_its_key_and_gets_it_again(hass: HomeAssistant, waiting: WaitingBackend) -> None:
    await hass.async_add_executor_job(waiting.start)
    result = await add(hass, waiting)
    assert result["type"] is FlowResultType.CREATE_ENTRY, result
    key = result["data"][CONF_KEY]
    entry = result["result"]
    assert state_of(entry) is ConfigEntryState.LOADED
    told = str(await async_get_config_entry_diagnostics(hass, entry))
    assert key not in told

    await hass.config_entries.async_unload(entry.entry_id)
    await hass.async_add_executor_job(waiting.stop)
    await hass.async_add_executor_job(waiting.start)
    # The setup meets a locked backend, hands the key over, and is tried again.
    await hass.config_entries.async_setup(entry.entry_id)
    assert state_of(entry) is ConfigEntryState.SETUP_RETRY
    await hass.async_add_executor_job(waiting.until_open)
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()
    assert state_of(entry) is ConfigEntryState.LOADED
    assert entry.data[CONF_KEY] == key

    # One that starts again while the entry is loaded is opened by the stream's next attempt.
    await hass.async_add_executor_job(waiting.stop)
    await hass.async_add_executor_job(waiting.start)
    await hass.async_add_executor_job(waiting.until_open)

    # Another address leaves the key where it is.
    context: Any = {"source": SOURCE_RECONFIGURE, "entry_id": entry.entry_id}
    result = await hass.config_entries.flow.async_init(DOMAIN, context=context)
    values = {"url": f"http://127.0.0.1:{waiting.port}", "token": "", "verify_ssl": True}
    result = await hass.config_entries.flow.async_configure(result["flow_id"], values)
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "reconfigure_successful")
    await hass.async_block_till_done()
    assert entry.data[CONF_KEY] == key
    await hass.config_entries.async_unload(entry.entry_id)


async def test_another_key_is_no_way_in(hass: HomeAssistant, waiting: WaitingBackend) -> None:
    await hass.async_add_executor_job(waiting.start)
    status, _ = await hass.async_add_executor_job(partial(waiting.ask, "PUT", "/api/v1/key", {"key": make_key()}))
    assert status == 200
    await hass.async_add_executor_job(waiting.until_open)
    await hass.async_add_executor_job(waiting.stop)
    await hass.async_add_executor_job(waiting.start)
    result = await add(hass, waiting)
    assert result["type"] is FlowResultType.FORM
    assert result["errors"] == {"base": "other_key"}


async def test_a_locked_backend_whose_key_is_not_here(hass: HomeAssistant, waiting: WaitingBackend) -> None:
    await hass.async_add_executor_job(waiting.start)
    data = {"url": f"http://127.0.0.1:{waiting.port}", "token": waiting.token, "verify_ssl": True}
    entry = MockConfigEntry(domain=DOMAIN, title="PrivFace", unique_id="a-backend", data=data)
    entry.add_to_hass(hass)
    await hass.config_entries.async_setup(entry.entry_id)
    assert state_of(entry) is ConfigEntryState.SETUP_RETRY
    assert entry.error_reason_translation_key == "locked"
