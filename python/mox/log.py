"""Structured logs: one logfmt line per event on standard error.

Every module has a logger of its package, `log.get("imap")`; levels can be set per package. Values never contain
secrets: callers do not log passwords, keys or message contents.
"""

import io
import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, TextIO, cast

import structlog

LEVELS = {
    "error": logging.ERROR,
    "warn": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
    "trace": 5,
    "traceauth": 4,
    "tracedata": 3,
}

_levels: dict[str, int] = {"": logging.INFO}


class _Logger(structlog.BoundLoggerBase):
    """Asks for the level of its package first: most lines are never written, and their making costs."""

    def debug(self, event: str, **values: Any) -> None:
        self._write(logging.DEBUG, "debug", event, values)

    def info(self, event: str, **values: Any) -> None:
        self._write(logging.INFO, "info", event, values)

    def warning(self, event: str, **values: Any) -> None:
        self._write(logging.WARNING, "warning", event, values)

    def error(self, event: str, **values: Any) -> None:
        self._write(logging.ERROR, "error", event, values)

    def exception(self, event: str, **values: Any) -> None:
        """An error, with the exception that is being handled."""
        self._write(logging.ERROR, "error", event, {"exc_info": True, **values})

    def _write(self, level: int, name: str, event: str, values: dict[str, Any]) -> None:
        wanted = _levels.get(self._context.get("pkg", ""))
        if level >= (_levels[""] if wanted is None else wanted):
            self._proxy_to_logger(name, event, **values)


_logfmt = structlog.processors.LogfmtRenderer(key_order=["level", "msg", "pkg"], drop_missing=True, bool_as_flag=False)


def _flat(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Values on one line, whatever a peer sent."""
    event["msg"] = event.pop("event")
    return {key.replace(" ", "_"): _one_line(value) for key, value in event.items()}


def _one_line(value: Any) -> Any:
    if isinstance(value, str):
        return "".join(c if c.isprintable() else repr(c)[1:-1] for c in value)
    return value


class _StandardError(io.TextIOBase):
    """Standard error as it is when a line is written, for programs that replace it."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def setup(level: str, worker: int | None = None, packages: Mapping[str, str] | None = None) -> None:
    """Configure the process. Raises ValueError for an unknown level."""
    for package, name in {"": level, **(packages or {})}.items():
        if name not in LEVELS:
            raise ValueError(f"unknown log level {name!r}; known are {', '.join(LEVELS)}")
        _levels[package] = LEVELS[name]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            _flat,
            _logfmt,
        ],
        wrapper_class=_Logger,
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, _StandardError())),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.clear_contextvars()
    if worker is not None:
        structlog.contextvars.bind_contextvars(worker=worker)


def levels() -> dict[str, str]:
    """The levels in force by package; the empty package is the general one."""
    names = {number: name for name, number in LEVELS.items()}
    return {package: names[number] for package, number in _levels.items()}


def is_enabled(package: str, level: str) -> bool:
    """Whether lines of a level are written: for those that cost something to put together."""
    return LEVELS[level] >= _levels.get(package, _levels[""])


def check_level(package: str, level: str) -> None:
    """Raises ValueError for a level that `set_level` would not take."""
    if level not in LEVELS and not (package and not level):
        raise ValueError(f"bad level {level!r}; known are {', '.join(LEVELS)}")


def set_level(package: str, level: str) -> None:
    """Change the level of a package, or the general one; an empty level removes a package's. Raises ValueError."""
    check_level(package, level)
    if level:
        _levels[package] = LEVELS[level]
    else:
        _levels.pop(package, None)


def get(package: str) -> Any:
    """The logger of a package."""
    return structlog.get_logger(pkg=package)
