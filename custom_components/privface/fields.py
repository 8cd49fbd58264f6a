"""Fields that the forms of more than one flow have."""

import probatio as vol
from homeassistant.helpers.selector import NumberSelector, NumberSelectorConfig, NumberSelectorMode


def whole_number(
    least: int, most: int, *, step: int = 1, unit: str | None = None, mode: NumberSelectorMode = NumberSelectorMode.BOX
) -> vol.All[int]:
    """A field for a whole number: an int after validation, where a selector alone gives a float."""
    return vol.All(_selector(least, most, step, unit, mode), vol.Coerce(_read_whole))


def seconds(least: float, most: float, *, step: float) -> vol.All[float]:
    """A field for a time."""
    # The selector lets pass what isn't a number; the range doesn't.
    return vol.All(_selector(least, most, step, "s", NumberSelectorMode.BOX), vol.Range(min=least, max=most))


def thousandths(least: float, most: float) -> vol.All[float]:
    """A field for a number with up to three digits after the point."""
    return vol.All(
        _selector(least, most, 0.001, None, NumberSelectorMode.BOX),
        vol.Range(min=least, max=most),
        vol.Coerce(_read_thousandths),
    )


def _selector(least: float, most: float, step: float, unit: str | None, mode: NumberSelectorMode) -> NumberSelector:
    config = NumberSelectorConfig(min=least, max=most, step=step, mode=mode)
    if unit is not None:
        config["unit_of_measurement"] = unit
    return NumberSelector(config)


def _read_whole(value: float) -> int:
    if not value.is_integer():
        raise ValueError("a whole number is needed")
    return int(value)


def _read_thousandths(value: float) -> float:
    return round(value, 3)
