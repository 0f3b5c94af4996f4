"""An ssh server on loopback with keys of its own, as a login node is reached from a laptop.

    with Sshd.start(tmp_path) as sshd:
        host = {"address": sshd.address, "port": sshd.port, "key_file": str(sshd.key_file)}

Who logs in is who runs the test. The home folder is one of the test's: what is written into
`home/.bash_profile` is what the login shell reads.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import psutil

_PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
_CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/key.pub
PidFile {folder}/sshd.pid
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
StrictModes no
UsePAM no
PrintMotd no
PrintLastLog no
Subsystem sftp internal-sftp
SetEnv {environment}
"""


def is_available() -> bool:
    """Whether the programs of OpenSSH are installed."""
    return all(shutil.which(name, path=_PATH) for name in ("sshd", "ssh-keygen"))


class Sshd:
    """The server; it ends with the `with` block."""

    address = "127.0.0.1"

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.home = self.folder / "home"
        self.key_file = self.folder / "key"
        self.user = getpass.getuser()
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def start(cls, folder: Path, **environment: str) -> Sshd:
        """A server that lets this user in; `environment` is what its shells find in theirs."""
        server = cls(folder)
        server.home.mkdir(parents=True)
        for name in ("host_key", "key"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", server.folder / name],
                check=True,
            )
        with socket.socket() as probe:
            probe.bind((cls.address, 0))
            server.port = probe.getsockname()[1]
        variables = {"HOME": str(server.home), **environment}
        config = server.folder / "sshd_config"
        config.write_text(
            _CONFIG.format(
                port=server.port,
                folder=server.folder,
                environment=" ".join(f'"{key}={value}"' for key, value in variables.items()),
            )
        )
        with contextlib.suppress(PermissionError):  # Debian's sshd, as root, wants it
            Path("/run/sshd").mkdir(exist_ok=True)
        server.restart()
        return server

    def restart(self) -> None:
        """Listen, on the same port as before."""
        program = shutil.which("sshd", path=_PATH)
        assert program
        command = [program, "-D", "-e", "-f", str(self.folder / "sshd_config")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stderr=log)
        self._wait()

    def kill(self) -> None:
        """SIGKILL, also for the connections that there are; what was started over them goes on."""
        assert self._process
        server = psutil.Process(self._process.pid)
        for process in (*server.children(recursive=True), server):
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.name().startswith("sshd"):
                    process.kill()
        self._process.wait()

    def __enter__(self) -> Sshd:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process
        self._process.terminate()
        self._process.wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex((self.address, self.port)) == 0:
                    return
            time.sleep(0.05)
        raise TimeoutError(f"sshd does not listen:\n{(self.folder / 'log').read_text()}")
