"""Collecting everything that is wrong with a configuration, so that one look shows all of it."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Problems:
    """`texts` are errors, with which a configuration is refused; `warnings` are for the log."""

    texts: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def add(self, where: str, text: str) -> None:
        """`where` is the path of keys, such as Domains.example.org.DMARC; `text` says what to do."""
        self.texts.append(f"{where}: {text}")

    def warn(self, where: str, text: str) -> None:
        """The same for what is allowed, but most likely not meant."""
        self.warnings.append(f"{where}: {text}")
