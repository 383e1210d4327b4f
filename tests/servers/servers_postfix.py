"""A real mail server: Postfix in a folder of its own, with STARTTLS, AUTH and mailboxes."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import trustme

from servers_postgres import free_port, missing

LOGIN = ("alerts", "correct horse")
MOST_BYTES = 60_000
_MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
myhostname = mail.example.com
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
virtual_mailbox_domains = example.com
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = inline:{{ li@example.com=li/ wang@example.com=wang/ }}
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
message_size_limit = {most}
virtual_mailbox_limit = 0
smtpd_tls_security_level = encrypt
smtpd_tls_cert_file = {folder}/cert.pem
smtpd_tls_key_file = {folder}/cert.pem
smtpd_tls_auth_only = yes
smtpd_sasl_auth_enable = yes
smtpd_sasl_path = smtpd
cyrus_sasl_config_path = {folder}/sasl
smtpd_helo_required = yes
smtpd_helo_restrictions = reject_non_fqdn_helo_hostname, reject_invalid_helo_hostname
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions = reject_unlisted_recipient
"""
_MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""
_SASL = "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN LOGIN\nsasldb_path: {folder}/users\n"


class Postfix:
    """The server, its authority, and what has arrived."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.ca_file = folder / "ca.pem"

    def mails(self, name: str) -> list[bytes]:
        """Return what has arrived in a mailbox."""
        return [path.read_bytes() for path in sorted((self.folder / "mail" / name / "new").glob("*"))]

    @property
    def log(self) -> str:
        """What the server tells of itself."""
        return (self.folder / "log").read_text()

    def run(self, verb: str) -> None:
        """Start or stop it."""
        done = subprocess.run(
            ["postfix", "-c", str(self.folder), verb], check=False, capture_output=True, text=True, timeout=30
        )
        if done.returncode and verb == "start":
            raise RuntimeError(done.stderr)

    def prepare(self) -> None:
        """Write all that it reads."""
        user = pwd.getpwnam("postfix")
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.ca_file))
        authority.issue_cert("localhost", "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(
            str(self.folder / "cert.pem")
        )
        for name in ("queue", "data", "mail", "sasl"):
            (self.folder / name).mkdir()
        for name in ("data", "mail"):
            os.chown(self.folder / name, user.pw_uid, user.pw_gid)
        words = {"folder": self.folder, "port": self.port, "uid": user.pw_uid, "gid": user.pw_gid, "most": MOST_BYTES}
        for name, text in {"main.cf": _MAIN, "master.cf": _MASTER, "sasl/smtpd.conf": _SASL}.items():
            (self.folder / name).write_text(text.format(**words))
        command = ["saslpasswd2", "-p", "-c", "-f", str(self.folder / "users"), "-u", "mail.example.com", LOGIN[0]]
        subprocess.run(command, input=LOGIN[1].encode(), check=True, capture_output=True)
        os.chown(self.folder / "users", user.pw_uid, user.pw_gid)


@contextmanager
def running_postfix() -> Iterator[Postfix]:
    """Yield a server that runs, or skip."""
    if os.geteuid() != 0 or not shutil.which("postfix") or not shutil.which("saslpasswd2"):
        missing("no Postfix here, or not root: install postfix, libsasl2-modules and sasl2-bin")
    with tempfile.TemporaryDirectory(prefix="postfix-") as folder:
        Path(folder).chmod(0o755)
        server = Postfix(Path(folder))
        server.prepare()
        server.run("start")
        try:
            yield server
        finally:
            with suppress(subprocess.TimeoutExpired):
                server.run("stop")
