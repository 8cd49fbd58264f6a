"""Holds what flows answer to the English texts: Home Assistant's own tests check it so, the plugin's don't."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from string import Formatter
from typing import Any, Final
from unittest.mock import patch

from homeassistant.config_entries import ConfigSubentryFlowManager, OptionsFlowManager
from homeassistant.data_entry_flow import FlowManager, FlowResultType, section

COMPONENT: Final = Path(__file__).parents[2] / "custom_components/privface"


def read_texts() -> dict[str, Any]:
    texts: dict[str, Any] = json.loads((COMPONENT / "translations/en.json").read_text(encoding="utf-8"))
    return texts


@contextmanager
def checking_texts() -> Iterator[None]:
    """While it lasts, a form, error or abort without its text fails the test that meets it."""
    texts = read_texts()
    handle_step = FlowManager._async_handle_step

    async def handle_and_check(manager: Any, flow: Any, step_id: str, user_input: Any) -> Any:
        result = await handle_step(manager, flow, step_id, user_input)
        if isinstance(manager, ConfigSubentryFlowManager):
            check(texts["config_subentries"][flow.handler[1]], result)
        elif isinstance(manager, OptionsFlowManager):
            check(texts["options"], result)
        else:
            check(texts["config"], result)
        return result

    with patch.object(FlowManager, "_async_handle_step", handle_and_check):
        yield


def check(texts: Mapping[str, Any], result: Mapping[str, Any]) -> None:
    given = result.get("description_placeholders") or {}
    if result["type"] is FlowResultType.ABORT and "translation_domain" not in result:
        _check_text(texts["abort"][result["reason"]], given)
    if result["type"] is FlowResultType.FORM:
        step = texts["step"][result["step_id"]]
        _check_text(step["title"], given)
        _check_text(step.get("description", ""), given)
        _check_fields(step, result["data_schema"].schema, given)
        for error in (result["errors"] or {}).values():
            _check_text(texts["error"][error], given)


def _check_fields(texts: Mapping[str, Any], schema: Mapping[Any, Any], given: Mapping[str, str]) -> None:
    fields = {str(key) for key, field in schema.items() if not isinstance(field, section)}
    names, descriptions = texts.get("data", {}), texts.get("data_description", {})
    assert fields <= set(names) == set(descriptions)
    for text in (*names.values(), *descriptions.values()):
        _check_text(text, given)
    for key, field in schema.items():
        if isinstance(field, section):
            _check_text(texts["sections"][str(key)]["name"], given)
            _check_fields(texts["sections"][str(key)], field.schema.schema, given)


def _check_text(text: str, given: Mapping[str, str]) -> None:
    wanted = {name for _, name, _, _ in Formatter().parse(text) if name is not None}
    assert wanted <= set(given), f"nothing to put into {wanted - set(given)}: {text}"
