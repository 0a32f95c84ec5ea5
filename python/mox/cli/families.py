"""All commands. Each family is a module with a list `COMMANDS`, imported when it is needed, so that a command starts
without the rest of the program."""

import importlib

from mox.cli.command import Command

# The first word of a command, and the modules that define commands with it, in the order of the usage.
FAMILIES: dict[str, tuple[str, ...]] = {
    "localserve": ("serving",),
    "stop": ("serving",),
    "setaccountpassword": ("passwords",),
    "setadminpassword": ("passwords",),
    "loglevels": ("loglevels",),
    "queue": ("queue",),
    "import": ("importing",),
    "export": ("importing",),
    "backup": ("maintenance",),
    "verifydata": ("maintenance",),
    "retrain": ("maintenance",),
    "bumpuidvalidity": ("maintenance",),
    "reassignuids": ("maintenance",),
    "fixuidmeta": ("maintenance",),
    "fixmsgsize": ("maintenance",),
    "reparse": ("maintenance",),
    "recalculatemailboxcounts": ("maintenance",),
    "reassignthreads": ("maintenance",),
    "sendmail": ("sendmail",),
    "webapi": ("webapi",),
    "example": ("examples",),
    "help": ("about",),
    "config": (
        "config_files",
        "config_accounts",
        "config_domains",
        "config_aliases",
        "config_tlspubkeys",
        "config_hostkeys",
    ),
    "cid": ("about",),
    "clientconfig": ("config_files",),
    "version": ("about",),
    "helpall": ("about",),
    "dane": ("dane_dial", "dane_tools"),
    "dns": ("dns_tools",),
    "dkim": ("mailauth_tools",),
    "dmarc": ("mailauth_tools", "report_tools"),
    "dnsbl": ("dns_tools",),
    "iprev": ("dns_tools",),
    "junk": ("junk",),
    "message": ("message_tools",),
    "mtasts": ("report_tools",),
    "rdap": ("rdap",),
    "spf": ("mailauth_tools",),
    "tlsrpt": ("report_tools",),
}


def load(word: str) -> list[Command]:
    """The commands that start with a word."""
    modules = [importlib.import_module(f"mox.cli.{name}") for name in FAMILIES.get(word, ())]
    return [command for module in modules for command in module.COMMANDS if command.words[0] == word]


def load_all() -> list[Command]:
    """All commands in the order of the usage."""
    return [command for word in FAMILIES for command in load(word)]


def find(words: list[str]) -> Command | None:
    """The command whose words these start with; the longest."""
    if not words:
        return None
    fitting = [c for c in load(words[0]) if tuple(words[: len(c.words)]) == c.words]
    return max(fitting, key=lambda command: len(command.words), default=None)


def related(words: list[str]) -> list[Command]:
    """The commands that share the most first words, at least one."""
    if not words:
        return []
    commands = load(words[0])
    for count in range(len(words), 1, -1):
        if found := [c for c in commands if c.words[:count] == tuple(words[:count])]:
            return found
    return commands
