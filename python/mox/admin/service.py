"""The systemd unit."""

from pathlib import Path

# Python keeps compiled code beside its modules, which ProtectSystem forbids: PYTHONDONTWRITEBYTECODE avoids trying.
# MemoryDenyWriteExecute is not among the options: libffi, which Python's extensions use, needs such memory.
_UNIT = """\
[Unit]
Description=mox mail server
After=network-online.target
Wants=network-online.target

[Service]
UMask=007
LimitNOFILE=65535
Type=simple
# The server starts as root to open privileged ports and files, and becomes another user at once.
WorkingDirectory={folder}
ExecStart={folder}/mox serve
ExecStop={folder}/mox stop
RestartSec=5s
Restart=always
SyslogFacility=mail
Environment=PYTHONDONTWRITEBYTECODE=1

# Isolation from the rest of the system. RestrictSUIDSGID is not possible, for directories are made setgid.
PrivateDevices=yes
PrivateTmp=yes
ProtectSystem=strict
ReadWritePaths={folder}/config {folder}/data
ProtectKernelTunables=yes
ProtectControlGroups=yes
AmbientCapabilities=
CapabilityBoundingSet=CAP_SETUID CAP_SETGID CAP_NET_BIND_SERVICE CAP_CHOWN CAP_FSETID CAP_DAC_OVERRIDE \
CAP_DAC_READ_SEARCH CAP_FOWNER CAP_KILL
NoNewPrivileges=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
ProtectProc=invisible
RestrictNamespaces=yes
RestrictRealtime=yes
RemoveIPC=yes
ProtectHostname=yes
ProtectClock=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
LockPersonality=yes
DevicePolicy=closed
SystemCallArchitectures=native
SystemCallFilter=@system-service

[Install]
WantedBy=multi-user.target
"""


def unit(folder: Path) -> str:
    """A unit for an installation in `folder`."""
    return _UNIT.format(folder=folder)
