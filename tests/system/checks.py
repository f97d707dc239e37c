"""Checks against real servers and an independent SOAP library. Each says ok, FAILED or skipped; the last line counts."""

import importlib.util
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

from town import BINARY, SIGNED, SIREN, Authority, Town, acquittement, invoices, retour, wait_for

ACCOUNT = 'feeds = ["acquittements", "signes", "pes-retour", "chorus"]\ncircuits = ["PES"]'
NAMES = ["retour 1.xml", "été & œuvre.xml", "100%.xml", "a%20b.xml", "n#1.xml", "a+b.xml", "c;d=e,f'(g)!.xml",
         "TesoT/a.xml", "Budget annexe – eau/à voir?.xml", "x" * 180 + ".xml"]


def collects(share_class, folder, authority):
    share = share_class(folder, authority)
    try:
        expected = {f"PES/{name}": acquittement(number) for number, name in enumerate(NAMES)}
        expected["PES/marché signé.pdf"] = SIGNED
        expected["PES_Retour/r 1.xml"] = retour(1)
        expected["chorus-pivot/f°1.xml"] = invoices(1)
        for path, content in expected.items():
            share.put(path, content)
        share.put("Marches/other.xml", acquittement(99))
        town = Town(folder, authority, share.url, "webdav", ACCOUNT)
        town.poll()
        assert town.kept() == expected, set(expected) ^ set(town.kept())
        assert share.files() == {"Marches/other.xml": acquittement(99)}, share.files().keys()
        unreleased = town.rows("SELECT remote_id FROM documents WHERE released_at IS NULL")
        assert unreleased == [], unreleased
        feeds = dict(town.rows("SELECT remote_id, feed FROM documents"))
        signed = next(feed for name, feed in feeds.items() if "signé" in name)
        assert signed == "fast/mairie/signes", feeds
        note = town.rows("SELECT note FROM feeds WHERE kind = 'acquittements'")[0][0]
        assert "out/Marches holds 1 entries" in note, note
        asked = len(share.requests("GET"))
        assert asked == len(expected), f"{asked} GETs for {len(expected)} files"
        assert len(share.requests("DELETE")) == len(expected)
        town.poll()
        assert len(share.requests("GET")) == asked, "what is held was asked for again"
        # A name that is used again is another document.
        share.put("PES/retour 1.xml", acquittement(3000, 500))
        town.poll()
        count = town.rows("SELECT count(*) FROM documents WHERE remote_id LIKE 'PES/retour 1.xml@%' AND state = 'delivered'")
        assert count == [(2,)], count
        assert town.kept()["PES/retour 1.xml"] == acquittement(3000, 500)
    finally:
        share.stop()


def replaced(share_class, folder, authority):
    """A file that another has replaced since it was kept is not removed."""
    share = share_class(folder, authority)
    try:
        town = Town(folder, authority, share.url, "webdav", 'feeds = ["acquittements"]\nrelease = "delivered"')
        text = town.config.read_text()
        blocked = '[[delivery.targets]]\nname = "blocked"\nfeeds = ["fast/*"]\ninbox = "blocked"\n'
        town.config.write_text(text + blocked)
        (folder / "blocked").write_text("in the way")
        share.put("PES/a.xml", acquittement(1))
        town.poll()
        assert share.files() == {"PES/a.xml": acquittement(1)}
        # Apache's tags are weak in a file's first second.
        time.sleep(1.1)
        share.put("PES/a.xml", acquittement(2, 900))
        town.config.write_text(text)
        town.poll()
        assert town.kept()["PES/a.xml"] == acquittement(2, 900)
        contents = sorted(len(path.read_bytes()) for path in (folder / "state/archive/fast").rglob("*.xml"))
        assert contents == sorted([len(acquittement(1)), len(acquittement(2, 900))]), contents
        # It is removed once it is delivered.
        town.poll()
        assert share.files() == {}
    finally:
        share.stop()


def refusals(share_class, folder, authority):
    """A certificate of an unknown authority, a server that is away: clear errors, nothing lost."""
    share = share_class(folder, authority)
    share.put("PES/a.xml", acquittement(1))
    other = folder / "other"
    other.mkdir()
    stranger = Town(folder, authority, share.url, "webdav", 'feeds = ["acquittements"]', Authority(other).client("x"))
    said = stranger.poll(75)
    assert re.search("certificate", said) and re.search("authority|refuse", said), said
    share.stop()
    town = Town(folder, authority, share.url, "webdav", 'feeds = ["acquittements"]')
    said = town.poll(75)
    assert "network down" in said, said
    assert share.files() == {"PES/a.xml": acquittement(1)}


def kills(share_class, folder, authority):
    """kill -9 at twenty moments: what the server no longer has lies whole in the archive."""
    chance = random.Random(int(os.environ.get("SEED", "20261123")))
    share = share_class(folder, authority)
    try:
        expected = {f"PES/lot {number % 7}/a{number}.xml": acquittement(number, 200 + 40 * number) for number in range(200)}
        for path, content in expected.items():
            share.put(path, content)
        town = Town(folder, authority, share.url, "webdav", 'feeds = ["acquittements"]', interval="1s")
        for _ in range(20):
            daemon = town.start()
            time.sleep(chance.uniform(0.05, 0.6))
            daemon.send_signal(signal.SIGKILL)
            daemon.wait()
            left = share.files()
            removed = expected.keys() - left.keys()
            if removed:
                kept = town.kept()
                lost = [path for path in removed if kept.get(path) != expected[path]]
                assert not lost, f"removed and not safe: {lost}"
        births = town.births()
        daemon = town.start()
        # Told to stop before it listens to signals, it would simply die.
        wait_for("the daemon", lambda: town.births() > births)
        wait_for("all files", lambda: not share.files() and len(town.kept()) == 200)
        daemon.terminate()
        code = daemon.wait(timeout=30)
        assert code == 0, f"the daemon ended with {code}"
        assert town.kept() == expected
    finally:
        share.stop()


def requests_are_what_zeep_would_send(folder, authority):
    import zeep
    from service import WSDL, Service

    client = zeep.Client(str(WSDL))
    documents = {("Acknowledgements", str(1000 + number)): acquittement(number, 60_000) for number in range(5)}
    documents |= {("PesRetour", "2001"): retour(1), ("Chorus", "3001"): invoices(1)}
    documents |= {("SignedDocs", "4001"): SIGNED}
    service = Service(client, documents)
    try:
        town = Town(folder, authority, service.url, "soap",
                    'feeds = ["acquittements", "pes-retour", "chorus", "signes"]\ncircuits = ["Marchés & co"]')
        town.poll()
        assert service.wrong == [], service.wrong
        assert town.kept() == {id: content for (_, id), content in documents.items()}
        fetched = [operation for operation, _ in service.asked if operation.startswith("download")]
        assert len(fetched) == len(documents), fetched
        town.poll()
        assert len([1 for operation, _ in service.asked if operation.startswith("download")]) == len(documents)
    finally:
        service.stop()


def zeep_understands_the_simulator(folder, _authority):
    import requests
    import zeep
    import zeep.transports
    from service import PATH, WSDL

    environment = {**os.environ, "TMPDIR": str(folder)}
    demo = subprocess.Popen([BINARY, "demo", "--keep"], stdout=subprocess.PIPE, text=True, env=environment)
    try:
        lines = []
        for line in demo.stdout:
            lines.append(line)
            if "until Ctrl-C" in line:
                break
        told = "".join(lines)
        address = re.search(r"platform  (https://\S+),", told).group(1)
        siren = re.search(r"ccas, SIREN (\d+)", told).group(1)
        stage = Path(re.search(r"`run` with (\S+)/vaguemestre.toml", told).group(1))
        session = requests.Session()
        # Else a bundle of the environment would stand before the one given here.
        session.trust_env = False
        session.cert, session.verify = str(stage / "mairie.pem"), str(stage / "authority.pem")
        client = zeep.Client(str(WSDL), transport=zeep.transports.Transport(session=session))
        service = client.create_service("{http://sei.ws.fast.cdc.com/}DocumentsSoap", address + PATH)
        listed = service.listRemainingAcknowledgements(siren=siren)
        assert listed == [] or listed is None or "6101" in listed, listed
        fetched = service.downloadAcknowledgement(documentId="6101")
        root = getattr(fetched, "root", fetched)
        content = root.content
        archived = next((stage / "state/archive/fast/ccas/acquittements").rglob("6101.xml")).read_bytes()
        # zeep takes the line ends off a binary part.
        assert content == archived.strip(b"\r\n"), f"{len(content or b'')} bytes for {len(archived)}"
        try:
            service.downloadAcknowledgement(documentId="999")
            raise AssertionError("no fault for an unknown document")
        except zeep.exceptions.Fault as fault:
            assert "existe pas" in fault.message, fault.message
    finally:
        demo.terminate()
        demo.wait(timeout=30)


def missing(*needed):
    def lack(name):
        if name == "apache2":
            return shutil.which("apache2") is None and "Debian package apache2"
        if name == "promtool":
            return shutil.which("promtool") is None and "promtool of the Debian package prometheus"
        if name == "openssl":
            return shutil.which("openssl") is None and "Debian package openssl"
        return importlib.util.find_spec(name) is None and f"Python package {name}, see requirements.txt"

    return [what for name in needed if (what := lack(name))]


def main():
    from metrics import prometheus_reads_the_metrics, promtool_accepts_the_rules, rules_and_dashboard_name_what_there_is
    from shares import Apache, Wsgidav

    checks = [
        ("mod_dav: every name is collected once and removed", ("apache2", "openssl"), lambda *a: collects(Apache, *a)),
        ("mod_dav: a file replaced is not removed", ("apache2", "openssl"), lambda *a: replaced(Apache, *a)),
        ("mod_dav: refusals say why", ("apache2", "openssl"), lambda *a: refusals(Apache, *a)),
        ("mod_dav: twenty kills remove nothing that is not safe", ("apache2", "openssl"), lambda *a: kills(Apache, *a)),
        ("WsgiDAV: every name is collected once and removed", ("wsgidav", "openssl"), lambda *a: collects(Wsgidav, *a)),
        ("WsgiDAV: a file replaced is not removed", ("wsgidav", "openssl"), lambda *a: replaced(Wsgidav, *a)),
        ("zeep: our requests are what it would send", ("zeep", "openssl"), requests_are_what_zeep_would_send),
        ("zeep: it understands the simulated service", ("zeep", "openssl"), zeep_understands_the_simulator),
        ("prometheus-client: it reads the metrics", ("prometheus_client", "openssl"), prometheus_reads_the_metrics),
        ("promtool: it accepts the rules, and they say what they shall", ("promtool",), promtool_accepts_the_rules),
        ("rules and dashboard name metrics that there are", (), rules_and_dashboard_name_what_there_is),
    ]
    passed = failed = skipped = 0
    for name, needed, check in checks:
        if lacks := missing(*needed):
            skipped += 1
            print(f"skipped: {name} ({', '.join(lacks)} is missing)", flush=True)
            continue
        with tempfile.TemporaryDirectory(prefix="vaguemestre-system-") as folder:
            # Apache's workers, started by root, are another user.
            os.chmod(folder, 0o755)
            try:
                check(Path(folder), Authority(Path(folder)))
                passed += 1
                print(f"ok {name}", flush=True)
            except Exception as error:
                failed += 1
                print(f"FAILED {name}: {error}", flush=True)
                traceback.print_exc()
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or (skipped and os.environ.get("CI") == "true") else 0


if __name__ == "__main__":
    sys.exit(main())
