"""Checks of arguments that several formulas have."""


def require(accepted: bool, name: str, value: object, range_: str) -> None:
    """Raises ValueError, with the value and the accepted range, unless the value is accepted."""
    if not accepted:
        message = f"{name} is {value!r}; accepted: {range_}"
        raise ValueError(message)


def is_count(value: object, fewest: int = 1) -> bool:
    """Whether the value is a whole number of at least `fewest` (True and False are none)."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= fewest
