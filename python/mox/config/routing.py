"""Routes: which transport an outgoing message leaves by."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mox.config.problems import Problems
from mox.config.transport import Route
from mox.config.values import check_domain


@dataclass(frozen=True, slots=True)
class CompiledRoute:
    """A route with its domains in ASCII."""

    from_domains: tuple[str, ...]
    to_domains: tuple[str, ...]
    minimum_attempts: int
    transport: str

    def matches(self, from_domain: str, to_domain: str, attempts: int) -> bool:
        """Domains in ASCII and lower case; `attempts` that were made before."""
        return (
            attempts >= self.minimum_attempts
            and _matches(self.from_domains, from_domain)
            and _matches(self.to_domains, to_domain)
        )


def _matches(patterns: Sequence[str], domain: str) -> bool:
    return not patterns or any(
        domain == pattern or (pattern.startswith(".") and f".{domain}".endswith(pattern)) for pattern in patterns
    )


def compile_routes(
    where: str, routes: Iterable[Route], transports: Iterable[str], problems: Problems
) -> tuple[CompiledRoute, ...]:
    """Routes in order."""
    known = set(transports)
    compiled = []
    for number, route in enumerate(routes):
        place = f"{where}.{number}"
        if route.Transport not in known:
            problems.add(f"{place}.Transport", f"there is no transport {route.Transport!r} in mox.conf")
        compiled.append(
            CompiledRoute(
                _domains(f"{place}.FromDomain", route.FromDomain, problems),
                _domains(f"{place}.ToDomain", route.ToDomain, problems),
                route.MinimumAttempts,
                route.Transport,
            )
        )
    return tuple(compiled)


def _domains(where: str, texts: Iterable[str], problems: Problems) -> tuple[str, ...]:
    found = []
    for text in texts:
        if text == ".":
            found.append(text)
        elif domain := check_domain(where, text.removeprefix("."), problems):
            found.append(("." if text.startswith(".") else "") + domain.ascii)
    return tuple(found)
