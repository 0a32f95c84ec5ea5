"""The files of the specification (Appendix A) as mox writes them."""

from mox.config import sconf, sconf_write
from mox.config.model import Dynamic, Static

STATIC = """\
DataDir: ../data
LogLevel: debug
User: mox
Hostname: mail.example.org
ACME:
	letsencrypt:
		DirectoryURL: https://acme-v02.api.letsencrypt.org/directory
		ContactEmail: user@example.org
		IssuerDomainName: letsencrypt.org
AdminPasswordFile: adminpasswd
Listeners:
	internal:
		IPs:
			- 127.0.0.1
			- ::1
		Hostname: localhost
		AccountHTTP:
			Enabled: true
		AdminHTTP:
			Enabled: true
		WebmailHTTP:
			Enabled: true
		WebAPIHTTP:
			Enabled: true
		MetricsHTTP:
			Enabled: true
	public:
		IPs:
			- 192.0.2.10
			- 2001:db8::10
		TLS:
			ACME: letsencrypt
		SMTP:
			Enabled: true
			#DNSBLs:
				#- sbl.spamhaus.org
				#- bl.spamcop.net
		Submissions:
			Enabled: true
		IMAPS:
			Enabled: true
		AutoconfigHTTPS:
			Enabled: true
		MTASTSHTTPS:
			Enabled: true
		WebserverHTTP:
			Enabled: true
		WebserverHTTPS:
			Enabled: true
Postmaster:
	Account: user
	Mailbox: Postmaster
HostTLSRPT:
	Account: user
	Mailbox: TLSRPT
	Localpart: tlsreports
"""

DYNAMIC = """\
Domains:
	example.org:
		ClientSettingsDomain: mail.example.org
		LocalpartCatchallSeparator: +
		DMARC:
			Localpart: dmarcreports
			Account: user
			Mailbox: DMARC
		MTASTS:
			PolicyID: 20260101T120000
			Mode: enforce
			MaxAge: 24h0m0s
			MX:
				- mail.example.org
		TLSRPT:
			Localpart: tlsreports
			Account: user
			Mailbox: TLSRPT
		Aliases:
			team:
				Addresses:
					- user@example.org
				PostPublic: true
Accounts:
	user:
		Domain: example.org
		Destinations:
			user@example.org: nil
		SubjectPass:
			Period: 12h0m0s
		RejectsMailbox: Rejects
		AutomaticJunkFlags:
			Enabled: true
			JunkMailboxRegexp: ^(junk|spam)
			NeutralMailboxRegexp: ^(inbox|introbox|neutral|postmaster|dmarc|tlsrpt|rejects)
		JunkFilter:
			Threshold: 0.950000
			Params:
				Onegrams: true
				MaxPower: 0.010000
				TopWords: 10
				IgnoreWords: 0.100000
				RareWords: 2
		NoCustomPassword: true
MonitorDNSBLs:
	- sbl.spamhaus.org
	- bl.spamcop.net
"""


def test_domains_conf_is_written_as_it_was() -> None:
    assert sconf_write.dump(sconf.parse(Dynamic, DYNAMIC, "domains.conf")) == DYNAMIC


def test_mox_conf_is_written_as_it_was_without_comments() -> None:
    written = sconf_write.dump(sconf.parse(Static, STATIC, "mox.conf"))
    assert written == "".join(f"{line}\n" for line in STATIC.splitlines() if not line.lstrip().startswith("#"))
