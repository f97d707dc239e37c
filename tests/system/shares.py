"""WebDAV servers of two families, each over the folders of one account."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from town import SIREN, free_port, listens

MODULES = "mpm_event authn_core authz_core unixd log_config mime ssl socache_shmcb dav dav_fs dav_lock"


class Share:
    """The folders that a server shares."""

    # Who owns them, where the server works as another user.
    owner = None

    def __init__(self, folder):
        self.root = folder / "share"
        self.out = self.root / "partage/webdav/clients" / SIREN / "out"
        for name in ("PES", "PES_Retour", "chorus-pivot"):
            (self.out / name).mkdir(parents=True)

    def put(self, path, content):
        file = self.out / path
        file.parent.mkdir(parents=True, exist_ok=True)
        # As a server does: whole at once.
        fresh = file.with_name(f".{file.name}.new")
        fresh.write_bytes(content)
        fresh.rename(file)
        self.hand_over()

    def hand_over(self):
        if self.owner:
            for place, _, files in os.walk(self.root):
                for name in ["", *files]:
                    shutil.chown(os.path.join(place, name), self.owner)

    def files(self):
        found = (file for file in self.out.rglob("*") if file.is_file())
        return {str(file.relative_to(self.out)): file.read_bytes() for file in found if ".DAV" not in file.parts}


class Apache(Share):
    """Apache httpd with mod_dav, which demands a client certificate."""

    def __init__(self, folder, authority):
        # Started by root it becomes another user; started by any other it stays that one.
        self.owner = "www-data" if os.geteuid() == 0 else None
        super().__init__(folder)
        self.hand_over()
        self.port, self.log = free_port(), folder / "access.log"
        (folder / "dav").mkdir()
        if self.owner:
            shutil.chown(folder / "dav", self.owner)
        modules = Path("/usr/lib/apache2/modules")
        loads = "\n".join(f"LoadModule {name}_module {modules}/mod_{name}.so" for name in MODULES.split()
                          if (modules / f"mod_{name}.so").exists())
        config = folder / "httpd.conf"
        config.write_text(f"""
ServerRoot "{folder}"
ServerName localhost
PidFile "{folder}/httpd.pid"
Mutex file:{folder}
DefaultRuntimeDir "{folder}"
{loads}
{f"User {self.owner}" if self.owner else ""}
{f"Group {self.owner}" if self.owner else ""}
TypesConfig /dev/null
Listen 127.0.0.1:{self.port}
ErrorLog "{folder}/error.log"
LogFormat "%m %s %U" short
CustomLog "{self.log}" short
DavLockDB "{folder}/dav/locks"
DocumentRoot "{self.root}"
SSLEngine on
SSLSessionCache "shmcb:{folder}/ssl(512000)"
SSLCertificateFile "{authority.server()}"
SSLCACertificateFile "{authority.certificate}"
SSLVerifyClient require
<Directory "{self.root}">
  Dav On
  Require all granted
</Directory>
""")
        self.url = f"https://localhost:{self.port}"
        self.process = subprocess.Popen(["apache2", "-d", folder, "-f", config, "-DFOREGROUND"],
                                        stderr=open(folder / "start.log", "w"))
        listens(self.port)

    def requests(self, method):
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [line.split(" ", 2) for line in lines if line.startswith(f"{method} ")]

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Wsgidav(Share):
    """WsgiDAV on cheroot, over plain HTTP."""

    def __init__(self, folder, _authority):
        super().__init__(folder)
        self.port, self.log = free_port(), folder / "wsgidav.log"
        config = folder / "wsgidav.yaml"
        config.write_text(f"""
host: 127.0.0.1
port: {self.port}
provider_mapping:
  "/": "{self.root}"
http_authenticator:
  domain_controller: null
simple_dc:
  user_mapping:
    "*": true
verbose: 3
logging:
  enable_loggers: []
""")
        self.url = f"http://127.0.0.1:{self.port}"
        wsgidav = Path(sys.executable).with_name("wsgidav")
        self.process = subprocess.Popen([wsgidav, "-c", config], stdout=open(self.log, "w"), stderr=subprocess.STDOUT)
        listens(self.port)

    def requests(self, method):
        lines = self.log.read_text().splitlines()
        return [line for line in lines if f'"{method} ' in line]

    def stop(self):
        self.process.terminate()
        self.process.wait()
