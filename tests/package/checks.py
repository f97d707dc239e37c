"""What the Debian package promises, looked at in the order of its life. Each check says ok or FAILED; the last line counts."""

import hashlib
import json
import re
import shlex
import subprocess
import sys
import traceback

from place import ENVIRONMENT, Booted, Root, wait_for

STATE = "/var/lib/vaguemestre"
CONFIGURATION = "/etc/vaguemestre"
DOCUMENTATION = "/usr/share/doc/vaguemestre"
INSTALLED = {
    "/usr/bin/vaguemestre": "755 root:root",
    "/usr/lib/systemd/system/vaguemestre.service": "644 root:root",
    "/usr/lib/sysusers.d/vaguemestre.conf": "644 root:root",
    "/usr/lib/tmpfiles.d/vaguemestre.conf": "644 root:root",
    "/usr/share/man/man1/vaguemestre.1.gz": "644 root:root",
    "/usr/share/man/man5/vaguemestre.toml.5.gz": "644 root:root",
    "/usr/share/man/fr/man1/vaguemestre.1.gz": "644 root:root",
    "/usr/share/man/fr/man5/vaguemestre.toml.5.gz": "644 root:root",
    "/usr/share/bash-completion/completions/vaguemestre": "644 root:root",
    "/usr/share/zsh/vendor-completions/_vaguemestre": "644 root:root",
    "/usr/share/fish/vendor_completions.d/vaguemestre.fish": "644 root:root",
    f"{DOCUMENTATION}/copyright": "644 root:root",
    f"{DOCUMENTATION}/changelog.gz": "644 root:root",
    f"{DOCUMENTATION}/third-party.gz": "644 root:root",
    f"{DOCUMENTATION}/README.md": "644 root:root",
    f"{DOCUMENTATION}/README.fr.md": "644 root:root",
    f"{DOCUMENTATION}/docs/operations.md": "644 root:root",
    f"{DOCUMENTATION}/examples/vaguemestre.toml": "644 root:root",
    f"{DOCUMENTATION}/examples/conf.d/fast.toml": "644 root:root",
    f"{DOCUMENTATION}/examples/fr/vaguemestre.toml": "644 root:root",
    f"{DOCUMENTATION}/examples/fr/conf.d/fast.toml": "644 root:root",
    f"{DOCUMENTATION}/examples/systemd/credentials.conf": "644 root:root",
}
FOLDERS = {
    CONFIGURATION: "750 root:vaguemestre",
    f"{CONFIGURATION}/conf.d": "750 root:vaguemestre",
    STATE: "750 vaguemestre:vaguemestre",
    f"{STATE}/inbox": "2770 vaguemestre:vaguemestre",
}


class Story:
    """The package, the one after it, and where they are installed."""

    def __init__(self, package, newer, root):
        self.package, self.newer, self.root = package, newer, root
        self.system = self.demo = self.before = None

    # Without a running systemd.

    def is_clean_to_lintian(self):
        found = subprocess.run(["lintian", "--allow-root", "--fail-on", "error,warning", self.package],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert found.returncode == 0 and not found.stdout.strip(), found.stdout

    def needs_little_and_says_it(self):
        print(f"    {control(self.package, 'Version', 'Architecture', 'Installed-Size', 'Depends')}")
        needs = control(self.package, "Depends")
        for name in ("libc6 (>= 2.", "ca-certificates", "systemd | "):
            assert name in needs, needs
        assert "libssl" not in needs and "libsqlite" not in needs, needs
        # Nothing of it is the operator's own, so that nothing is ever asked on an upgrade.
        members = subprocess.run(["dpkg-deb", "--ctrl-tarfile", self.package], check=True, stdout=subprocess.PIPE).stdout
        assert b"conffiles" not in members

    def installs_in_an_image_being_built(self):
        self.root.bring(self.package, "/root/vaguemestre.deb")
        self.root.bring(self.newer, "/root/newer.deb")
        self.root.do("apt-get", "-qq", "update", limit=300)
        planned = self.root.apt("install", "--simulate", "/root/vaguemestre.deb", "systemd-standalone-sysusers",
                                "systemd-standalone-tmpfiles")
        assert "Inst systemd-standalone-sysusers" in planned and "Inst systemd " not in planned, planned
        said = self.root.apt("install", "/root/vaguemestre.deb")
        for sentence in ("ni activé ni démarré", "neither enabled nor started"):
            assert said.count(sentence) == 1, said
        assert said.count("systemctl enable --now vaguemestre") == 2, said
        print(f"    {len(re.findall('^Setting up ', said, re.M)) - 1} packages came along")

    def has_every_file_as_promised(self):
        expected = INSTALLED | FOLDERS
        found = {path: self.root.facts(path) for path in expected}
        assert found == expected, {path: facts for path, facts in found.items() if facts != expected[path]}
        listed = self.root.do("dpkg", "--listfiles", "vaguemestre")
        assert not re.search("^(/etc|/var)", listed, re.M), listed
        assert not list(self.root.at(CONFIGURATION).rglob("*.toml"))
        user = self.root.do("getent", "passwd", "vaguemestre").strip().split(":")
        assert user[5:] == [STATE, "/usr/sbin/nologin"], user
        assert self.root.run("systemctl", "is-enabled", "vaguemestre").text.strip() == "disabled"

    def has_manual_pages_that_render(self):
        # By its folder, for this machine need not speak French.
        for folder, heading in (("man", "NAME"), ("man/fr", "NOM")):
            for section, name in (("1", "vaguemestre"), ("5", "vaguemestre.toml")):
                shown = subprocess.run(["man", "--warnings=mac", "-M", self.root.at(f"/usr/share/{folder}"), section, name],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                       env=ENVIRONMENT | {"MANWIDTH": "120", "MANPAGER": "cat"})
                page = f"{folder} {section}: {shown.stderr}{shown.stdout[:500]}"
                assert shown.returncode == 0 and not shown.stderr.strip(), page
                assert re.search(f"^{heading}$", shown.stdout, re.M), page
                assert len(shown.stdout.splitlines()) > 50, page

    def says_what_is_missing_without_a_configuration(self):
        answer = self.root.run("vaguemestre", "check")
        assert answer.code == 78, answer
        assert f"{CONFIGURATION}/vaguemestre.toml" in answer.text, answer

    def leaves_nothing_where_nothing_was_done(self):
        self.root.apt("purge", "vaguemestre")
        for path in (*INSTALLED, *FOLDERS, DOCUMENTATION):
            assert not self.root.facts(path), path
        self.root.apt("install", "/root/vaguemestre.deb")
        self.has_every_file_as_promised()

    # Under systemd.

    def boots(self):
        self.system = Booted(self.root.path)

    def is_not_started_unconfigured(self):
        assert self.system.shown("ActiveState", "UnitFileState") == "inactive disabled"
        assert self.system.run("systemctl", "start", "vaguemestre").code != 0
        wait_for("the start has failed", lambda: self.system.shown("ActiveState") == "failed")
        assert self.system.shown("ExecMainStatus", "NRestarts") == "78 0", self.system.shown("ExecMainStatus", "NRestarts")
        assert "vaguemestre.toml" in self.system.do("journalctl", "--unit=vaguemestre", "--no-pager")
        self.system.do("systemctl", "reset-failed", "vaguemestre")

    def is_configured_after_its_examples(self):
        """The platform is that of `demo --keep`; the daemon that came with it is made to stand still."""
        self.demo = self.system.start("vaguemestre demo --keep", "/tmp/demo.log")
        said = wait_for("the demo has played", lambda: found(r"(?s).*Look around.*", self.system.read("/tmp/demo.log")))
        process, config = re.search(r"daemon +process (\d+), `run` with (\S+)", said).groups()
        self.system.do("sh", "-c", f"kill -STOP {process}")
        folder = config.rsplit("/", 1)[0]
        install = ["install", "-m", "0640", "-g", "vaguemestre"]
        for file in ("mairie.pem", "authority.pem"):
            self.system.do(*install, f"{folder}/{file}", CONFIGURATION)
        self.system.do(*install, f"{DOCUMENTATION}/examples/vaguemestre.toml", CONFIGURATION)
        address = re.search(r'^base_url = "(https://.*)"$', self.system.read(config), re.M)[1]
        account = self.root.at("/root/mairie.toml")
        account.write_text(CONFIGURED.format(address=address))
        self.system.do(*install, "/root/mairie.toml", f"{CONFIGURATION}/conf.d")
        for arguments in (("check",), ("check", "--online")):
            self.system.do("vaguemestre", *arguments)

    def polls_by_hand_for_the_service(self):
        def polled():
            answer = self.system.run("vaguemestre", "poll", "fast/*")
            assert answer.code in (0, 75), answer
            return len(self.files("inbox")) >= 2
        wait_for("two documents are collected", polled)
        self.belongs_to_the_service()

    def belongs_to_the_service(self):
        """What lies in the state directory is the service's; what is in the inbox, the group's as well."""
        for path, facts in self.files("inbox").items():
            assert facts == "640 vaguemestre:vaguemestre", (path, facts)
        for path, facts in self.files("archive").items():
            assert facts == "600 vaguemestre:vaguemestre", (path, facts)
        folders = self.system.do("find", f"{STATE}/inbox", "-type", "d", "-not", "-path", "*/.vaguemestre*",
                                 "-printf", "%m %u:%g\n")
        assert set(folders.splitlines()) == {"2770 vaguemestre:vaguemestre"}, folders
        assert self.system.facts(f"{STATE}/ledger.sqlite") == "600 vaguemestre:vaguemestre"

    def collects_as_a_service(self):
        held = len(self.files("inbox"))
        self.system.do("systemctl", "enable", "--now", "vaguemestre")
        assert self.system.shown("ActiveState", "SubState", "UnitFileState") == "active running enabled"
        wait_for("the service collects", lambda: len(self.files("inbox")) > held)
        self.belongs_to_the_service()
        self.system.do("vaguemestre", "status")
        assert self.system.facts("/run/vaguemestre/status.json") == "640 vaguemestre:vaguemestre"
        print(f"    systemd shows: {self.system.shown('StatusText')}")
        assert self.system.shown("StatusText"), "systemd was told nothing"

    def loses_and_asks_nothing_on_an_upgrade(self):
        self.system.do("sed", "-i", "1i # a line of the operator's", f"{CONFIGURATION}/vaguemestre.toml")
        self.remember()
        process = self.system.shown("MainPID")
        said = self.system.apt("install", "/root/newer.deb")
        assert self.system.do("dpkg-query", "--show", "--showformat=${Version}", "vaguemestre").endswith("+newer")
        assert "conffile" not in said and "enable --now" not in said, said
        assert self.system.shown("ActiveState", "UnitFileState") == "active enabled"
        assert self.system.shown("MainPID") != process, "the old program still runs"
        assert self.system.shown("NRestarts") == "0"
        self.nothing_is_lost()
        held = len(self.files("inbox"))
        wait_for("the new version collects", lambda: len(self.files("inbox")) > held)

    def is_not_started_by_an_upgrade_if_it_was_stopped(self):
        for file, change, kept in (("vaguemestre", "disable", "disabled"), ("newer", "enable", "enabled")):
            self.system.do("systemctl", "stop", "vaguemestre")
            self.system.do("systemctl", change, "vaguemestre")
            self.system.apt("install", "--allow-downgrades", f"/root/{file}.deb")
            assert self.system.shown("ActiveState", "UnitFileState") == f"inactive {kept}", change
        self.system.do("systemctl", "start", "vaguemestre")

    def is_stopped_when_removed_and_leaves_what_is_the_operators(self):
        self.remember()
        process = self.system.shown("MainPID")
        self.system.apt("remove", "vaguemestre")
        assert self.system.run("test", "-d", f"/proc/{process}").code != 0, "the service still runs"
        for path in INSTALLED:
            assert not self.system.facts(path), path
        self.nothing_is_lost()

    def goes_on_after_it_is_installed_again(self):
        said = self.system.apt("install", "/root/newer.deb")
        assert "enable --now" not in said, said
        assert self.system.shown("UnitFileState") == "enabled"
        self.system.do("systemctl", "start", "vaguemestre")
        self.nothing_is_lost()
        assert set(self.before["documents"]) <= set(self.documents())

    def keeps_documents_and_configuration_when_purged(self):
        self.remember()
        said = self.system.apt("purge", "vaguemestre")
        for folder in (CONFIGURATION, STATE):
            for sentence in (f"{folder} est conservé", f"{folder} is kept"):
                assert sentence in said, said
        assert self.system.run("systemctl", "cat", "vaguemestre").code != 0
        traces = self.system.do("find", "/etc/systemd", "/var/lib/systemd", "/run/systemd/system", "-name", "*vaguemestre*")
        assert not traces, traces
        assert self.system.run("dpkg-query", "--show", "vaguemestre").code != 0
        self.nothing_is_lost()

    # What is compared.

    def files(self, top):
        """The documents below a folder of the state directory, each with mode and owner."""
        hidden = f"{STATE}/{top}/.*"
        listed = self.system.run("find", f"{STATE}/{top}", "-type", "f", "-not", "-path", hidden, "-printf", "%p %m %u:%g\n")
        return dict(line.split(" ", 1) for line in listed.text.splitlines())

    def documents(self):
        return sorted(found["remote_id"] for found in json.loads(self.system.do("vaguemestre", "documents", "--json")))

    def sums(self, *folders):
        paths = " ".join(shlex.quote(folder) for folder in folders)
        listed = self.system.do("sh", "-c", f"find {paths} -type f -exec sha256sum {{}} + ; find {paths} -printf '%p %m %u:%g\\n'")
        return set(listed.splitlines())

    def remember(self):
        self.before = {
            "documents": self.documents(),
            "configuration": self.sums(CONFIGURATION),
            "copies": self.sums(f"{STATE}/archive/fast", f"{STATE}/inbox/fast"),
        }
        assert self.before["documents"] and self.before["copies"]

    def nothing_is_lost(self):
        assert self.sums(CONFIGURATION) == self.before["configuration"]
        lost = self.before["copies"] - self.sums(f"{STATE}/archive/fast", f"{STATE}/inbox/fast")
        assert not lost, lost
        assert self.system.facts(f"{STATE}/ledger.sqlite") == "600 vaguemestre:vaguemestre"
        if self.system.facts("/usr/bin/vaguemestre"):
            assert set(self.before["documents"]) <= set(self.documents())

    def end(self):
        if self.demo:
            self.demo.kill()
        if self.system:
            self.system.stop()


# Beside the example of the main file, which stays as it is.
CONFIGURED = """[state]
reserve = "1MiB"

[schedule]
interval = "3s"
jitter = "1s"
avoid_hour = "0s"

[fast]
base_url = "{address}"
ca_certificate = "/etc/vaguemestre/authority.pem"
maintenance = []
guard = "0s"
max_document = "1MiB"

[[fast.accounts]]
name = "mairie"
siren = "213400179"
certificate = "/etc/vaguemestre/mairie.pem"
"""


def found(pattern, text):
    match = re.match(pattern, text)
    return match and match[0]


def control(package, *fields):
    return subprocess.run(["dpkg-deb", "--field", package, *fields], check=True, stdout=subprocess.PIPE,
                          text=True).stdout.strip().replace("\n", "; ")


def main():
    package, newer, root = sys.argv[1:]
    story = Story(package, newer, Root(root))
    steps = [
        story.is_clean_to_lintian,
        story.needs_little_and_says_it,
        story.installs_in_an_image_being_built,
        story.has_every_file_as_promised,
        story.has_manual_pages_that_render,
        story.says_what_is_missing_without_a_configuration,
        story.leaves_nothing_where_nothing_was_done,
        story.boots,
        story.is_not_started_unconfigured,
        story.is_configured_after_its_examples,
        story.polls_by_hand_for_the_service,
        story.collects_as_a_service,
        story.loses_and_asks_nothing_on_an_upgrade,
        story.is_not_started_by_an_upgrade_if_it_was_stopped,
        story.is_stopped_when_removed_and_leaves_what_is_the_operators,
        story.goes_on_after_it_is_installed_again,
        story.keeps_documents_and_configuration_when_purged,
    ]
    passed = failed = 0
    try:
        for step in steps:
            name = step.__name__.replace("_", " ")
            try:
                step()
            except Exception:
                failed += 1
                print(f"FAILED {name}\n{traceback.format_exc()}", flush=True)
            else:
                passed += 1
                print(f"ok {name}", flush=True)
    finally:
        story.end()
    print(f"{passed} passed, {failed} failed, 0 skipped")
    sys.exit(failed > 0)


main()
