"""What a connector is told, checked when it is made: a wrong limit would fail nowhere else."""

from collections.abc import Mapping
from typing import Final, cast

from yarl import URL

from .._target import host_fault

__all__ = ("limits_of_hosts", "require_count", "require_seconds")

_SCHEMES: Final = frozenset(("http", "https", "ws", "wss"))


def require_count(name: str, value: object) -> None:
    """Accept a number of things, 0 and ``None`` among them.

    Raises:
        TypeError: *value* is no whole number.
        ValueError: It is negative.
    """
    if value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be a whole number or None, not {value!r}")
    if value < 0:
        raise ValueError(f"{name} must not be negative, not {value!r}")


def require_seconds(name: str, value: object) -> None:
    """Accept seconds, 0 and ``None`` among them.

    Raises:
        TypeError: *value* is no number.
        ValueError: It is negative, or not a number (NaN).
    """
    if value is None:
        return
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"{name} must be seconds or None, not {value!r}")
    if not value >= 0:
        raise ValueError(f"{name} must be seconds, not {value!r}")


def limits_of_hosts(given: Mapping[str, int]) -> dict[str, int]:
    """Return *given* by keys as `PoolLimits.for_host` looks for them.

    Raises:
        TypeError: A key is no text, or a limit no number.
        ValueError: A key can match nothing, two say the same, or a limit is negative.
    """
    limits: dict[str, int] = {}
    for key, limit in given.items():
        if cast(object, limit) is None:
            raise TypeError(f"limits_by_host[{key!r}] must be a whole number, not None")
        require_count(f"limits_by_host[{key!r}]", limit)
        host = _host_key(key)
        if host in limits:
            raise ValueError(f"limits_by_host names {host!r} twice")
        limits[host] = limit
    return limits


def _host_key(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError(f"a key of limits_by_host must be str, not {key!r}")
    text = f"[{key}]" if key.count(":") > 1 and "[" not in key and "/" not in key else key
    try:
        url = URL(text if "://" in text else f"//{text}")
        host = url.raw_host
        port = url.port  # a scheme's own, if it has a scheme
        bare = url.raw_user is None and url.path in ("", "/") and not url.query_string
    except ValueError as exc:
        raise ValueError(f"limits_by_host: {key!r} is no host: {exc}") from exc
    if not host or not bare or url.raw_fragment or (url.scheme and url.scheme not in _SCHEMES):
        raise ValueError(
            f"limits_by_host: {key!r} can match nothing; keys are 'host', 'host:port' or "
            "'https://host'"
        )
    fault = host_fault(host)
    if "*" in host:
        fault = "it is compared with hosts as it is, patterns are unknown"
    if fault or port == 0:
        raise ValueError(f"limits_by_host: {key!r} can match nothing: {fault or 'port 0'}")
    return host if port is None else f"{host}:{port}"
