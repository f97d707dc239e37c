"""A Debian root, and the system that is booted from it."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

LIMIT = 120
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}


class Answer:
    """What a command said, and with which code it ended."""

    def __init__(self, finished):
        self.code, self.text = finished.returncode, finished.stdout

    def __str__(self):
        return f"exit code {self.code}: {self.text}"


def wait_for(what, condition, limit=LIMIT):
    """Looks until it holds, and answers what it found."""
    end = time.monotonic() + limit
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < end, f"not within {limit} s: {what}"
        time.sleep(0.2)


class Root:
    """A root in which no systemd runs."""

    def __init__(self, path):
        self.path = Path(path)
        # As what builds an image does it: with its own processes, and a /proc that shows them.
        self.enter = ["unshare", "--fork", "--pid", f"--mount-proc={path}/proc", "chroot", str(path)]

    def at(self, path):
        """Where a path of the root is on this machine."""
        return self.path / path.lstrip("/")

    def bring(self, file, name):
        shutil.copy(file, self.at(name))

    def run(self, *command, limit=LIMIT):
        """Runs a command as root; nobody is there to answer its questions."""
        return Answer(subprocess.run([*self.enter, *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                     stderr=subprocess.STDOUT, text=True, env=ENVIRONMENT, timeout=limit))

    def do(self, *command, limit=LIMIT):
        """Runs a command that has to succeed, and answers what it said."""
        answer = self.run(*command, limit=limit)
        assert answer.code == 0, f"{' '.join(command)}: {answer}"
        return answer.text

    def apt(self, *arguments):
        return self.do("apt-get", "-qq", "-o", "Dpkg::Use-Pty=0", "--no-install-recommends", "-y", *arguments, limit=300)

    def facts(self, path):
        """Mode, user and group; empty if there is no such file."""
        answer = self.run("stat", "-c", "%a %U:%G", path)
        return answer.text.strip() if answer.code == 0 else ""


class Booted(Root):
    """The system booted from a root, by systemd, with a loopback device and no other."""

    def __init__(self, path):
        super().__init__(path)
        self.log = open(self.path.parent / "boot.log", "w+")
        # It does not outlive these checks, however they end.
        self.container = subprocess.Popen(
            ["setpriv", "--pdeathsig=TERM", "systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit",
             "--private-network", "--console=pipe", f"--machine=vaguemestre-{os.getpid()}", "-D", str(path)],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT)
        try:
            # The container's first process, once it is there, and its systemd, once it answers.
            leader = wait_for("the container starts", self.leader, 30)
            self.enter = ["nsenter", f"--target={leader}", "--all", "--root", "--wd"]
            wait_for("the container is up", lambda: self.state() in ("running", "degraded"), 60)
        except BaseException:
            self.stop()
            raise

    def leader(self):
        assert self.container.poll() is None, f"systemd-nspawn ended: {self.said()}"
        process = self.container.pid
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
        for child in children:
            if Path(f"/proc/{child}/comm").read_text().strip() == "systemd":
                return child
        return None

    def state(self):
        assert self.container.poll() is None, f"systemd-nspawn ended: {self.said()}"
        return self.run("systemctl", "is-system-running").text.strip()

    def said(self):
        self.log.seek(0)
        return self.log.read()[-2000:]

    def start(self, command, output):
        """Starts a command that goes on, its words in a file of the root."""
        # The file is the container's own: its /tmp is none of the root's.
        return subprocess.Popen([*self.enter, "sh", "-c", f"exec {command} > {output} 2>&1"], stdin=subprocess.DEVNULL,
                                env=ENVIRONMENT)

    def read(self, path):
        answer = self.run("cat", path)
        return answer.text if answer.code == 0 else ""

    def shown(self, *properties):
        """What systemd knows of the service, in the order asked for."""
        lines = self.do("systemctl", "show", "vaguemestre").splitlines()
        known = dict(line.split("=", 1) for line in lines if "=" in line)
        return " ".join(known[name] for name in properties)

    def stop(self):
        if self.container.poll() is None:
            # What systemd takes for an order to power off.
            self.container.send_signal(signal.SIGTERM)
            try:
                self.container.wait(30)
            except subprocess.TimeoutExpired:
                self.container.kill()
                self.container.wait()
        self.log.close()
