"""A town hall for the checks: certificates, a configuration, and the real program."""

import os
import socket
import sqlite3
import subprocess
import time
from pathlib import Path

SIREN = "213400172"
BINARY = os.environ["VAGUEMESTRE"]
PATIENCE = 60


def sh(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, **options)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(what, test):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = test()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {PATIENCE} s: {what}")


def listens(port):
    def test():
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    wait_for(f"port {port}", test)


class Authority:
    """A certificate authority in a folder."""

    def __init__(self, folder):
        self.folder = folder
        self.key, self.certificate = folder / "ca.key", folder / "ca.pem"
        sh("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
           "-subj", "/CN=Autorite de recette", "-keyout", self.key, "-out", self.certificate)

    def issue(self, name, extensions, days=30):
        key, request, certificate = (self.folder / f"{name}.{end}" for end in ("key", "csr", "crt"))
        sh("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
           "-keyout", key, "-out", request)
        config = self.folder / f"{name}.ext"
        config.write_text(extensions)
        sh("openssl", "x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial",
           "-days", str(days), "-extfile", config, "-out", certificate)
        both = self.folder / f"{name}.pem"
        both.write_bytes(certificate.read_bytes() + key.read_bytes())
        os.chmod(both, 0o600)
        return both

    def server(self):
        return self.issue("localhost", "subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n")

    def client(self, name="mairie", days=30):
        return self.issue(name, "extendedKeyUsage=clientAuth\nkeyUsage=digitalSignature\n", days)


class Town:
    """A configuration with one account, and what the program makes of it."""

    def __init__(self, folder, authority, base_url, connector, account, certificate=None, interval="1ms"):
        self.folder = folder
        self.config = folder / "vaguemestre.toml"
        certificate = certificate or authority.client()
        self.config.write_text(f"""
[state]
directory = "state"
reserve = "1MiB"
[schedule]
interval = "{interval}"
jitter = "0s"
avoid_hour = "0s"
[fast]
base_url = "{base_url}"
ca_certificate = "{authority.certificate}"
connector = "{connector}"
maintenance = []
guard = "0s"
max_document = "16MiB"
timeout = "5s"
[log]
format = "json"
[[fast.accounts]]
name = "mairie"
siren = "{SIREN}"
certificate = "{certificate}"
{account}
""")

    def say(self, *arguments):
        command = [BINARY, "--config", str(self.config), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)

    def poll(self, code=0):
        said = self.say("poll", "fast/*")
        assert said.returncode == code, f"poll ended with {said.returncode}: {said.stdout}{said.stderr}"
        return said.stdout + said.stderr

    def start(self):
        log = open(self.folder / "daemon.log", "a")
        return subprocess.Popen([BINARY, "--config", str(self.config), "run"], stdout=log, stderr=log)

    def births(self):
        """How often the daemon was ready."""
        log = self.folder / "daemon.log"
        return log.read_text().count('"daemon.ready"') if log.exists() else 0

    def rows(self, query):
        with sqlite3.connect(f"file:{self.folder}/state/ledger.sqlite?mode=ro", uri=True, timeout=30) as ledger:
            return ledger.execute(query).fetchall()

    def kept(self):
        """What lies in the archive, by the platform's name without what tells versions apart."""
        rows = self.rows("SELECT remote_id, archive_path FROM documents WHERE archive_path IS NOT NULL ORDER BY id")
        return {name.rsplit("@", 1)[0]: (self.folder / "state" / path).read_bytes() for name, path in rows}


def acquittement(number, filler=200):
    accent = "Dépôt refusé" if number % 3 == 0 else "Accepté"
    text = f"""<?xml version="1.0" encoding="ISO-8859-1"?>
<n:PES_ACQUIT xmlns:n="http://www.minefi.gouv.fr/cp/helios/pes_v2/Rev0/retour/v2">
<Enveloppe><Parametres><TypFic V="PESALR2"/><NomFic V="RECETTE_{number}"/></Parametres></Enveloppe>
<EnTetePES><IdColl V="21340017200018"/></EnTetePES>
<ACQUIT><ElementACQUIT><NumBord V="{number}"/><EtatAck V="{0 if number % 3 == 0 else 1}"/>
<Erreur><NumAnoAck V="1"/><LibelleAnoAck V="{accent}"/></Erreur></ElementACQUIT></ACQUIT>
<!-- {"x" * filler} -->
</n:PES_ACQUIT>
"""
    return text.encode("iso-8859-1")


def retour(number):
    text = f"""<?xml version="1.0" encoding="ISO-8859-1"?>
<n:PES_Retour xmlns:n="http://www.minefi.gouv.fr/cp/helios/pes_v2/Rev0/retour"><Enveloppe><Parametres>
<TypFic V="PES_RETOUR"/><NomFic V="RETOUR_{number}"/></Parametres></Enveloppe></n:PES_Retour>
"""
    return text.encode("iso-8859-1")


def invoices(number):
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<CPPFacturePivot><CPPFactures Compteur="1"><CPPFacturePivotUnitaire NumOrdre="1"><Fournisseur>
<RaisonSociale>Société n°{number}</RaisonSociale></Fournisseur><DonneesFacture><Id>F{number}</Id></DonneesFacture>
</CPPFacturePivotUnitaire></CPPFactures></CPPFacturePivot>
""".encode()


SIGNED = b"%PDF-1.7\n% signed\n%%EOF\n"
