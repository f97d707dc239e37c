//! Real servers: nginx and Apache as Debian packages them, with client certificates required.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::Instant;

use crate::process::{Running, family};
use crate::stage::{SIREN, Stage};

/// The interface of FAST-Parapheur that nginx plays.
pub const REST: &str = "/parapheur-ws/rest/v1/documents/v2";
/// The folders that Apache shares.
pub const SHARE: &str = "/partage/webdav/clients";

/// A server, which ends with this handle.
#[derive(Debug)]
pub struct Server {
    process: Running,
    /// Where it listens, on 127.0.0.1 and `localhost`.
    pub port: u16,
}

impl Server {
    /// Time of the processors that it and its workers have taken.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        family(self.process.pid())
    }

    async fn start(command: &mut Command, port: u16, log: &Path) -> anyhow::Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(std::fs::File::create(log)?);
        let mut process = Running::start(command)?;
        let begun = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            let ended = process.0.try_wait()?;
            let said = || std::fs::read_to_string(log).unwrap_or_default();
            anyhow::ensure!(ended.is_none(), "{}: {}", command.get_program().display(), said());
            anyhow::ensure!(begun.elapsed() < Duration::from_secs(10), "the server does not listen: {}", said());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(Self { process, port })
    }
}

/// The address of `port`.
pub fn origin(port: u16) -> String {
    format!("https://localhost:{port}")
}

/// The address of a document.
pub fn download(port: u16, number: u32) -> String {
    format!("{}{REST}/{number}/ack/download", origin(port))
}

fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// What servers show, as a file: certificate, chain and key.
fn server_file(stage: &Stage) -> anyhow::Result<()> {
    Ok(std::fs::write(stage.path().join("server.pem"), stage.keys.server().pem())?)
}

/// nginx, which lists the documents 1 to `count` of `documents` to whoever asks for those of [`SIREN`], and nothing to all
/// others.
pub async fn nginx(stage: &Stage, documents: &Path, count: u32) -> anyhow::Result<Server> {
    server_file(stage)?;
    let folder = stage.fresh("nginx")?;
    let ids: Vec<String> = (1..=count).map(|number| number.to_string()).collect();
    std::fs::write(folder.join("listing.json"), format!("[{}]", ids.join(",")))?;
    let port = free_port()?;
    let (stage, documents, folder) = (stage.path().display(), documents.display(), folder.display());
    let mut text = String::new();
    // As the package has it, but for where things lie. Logs are off: they would be the server's cost, of both sides.
    writeln!(text, "daemon off; user root; worker_processes auto; pid {folder}/nginx.pid; error_log stderr warn;")?;
    writeln!(text, "events {{ worker_connections 768; }}")?;
    writeln!(text, "http {{ sendfile on; tcp_nopush on; access_log off; types {{ }} default_type application/xml;")?;
    for temporary in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        writeln!(text, "{temporary}_temp_path {folder}/{temporary};")?;
    }
    writeln!(text, "server {{ listen 127.0.0.1:{port} ssl backlog=1024; server_name localhost;")?;
    writeln!(text, "ssl_certificate {stage}/server.pem; ssl_certificate_key {stage}/server.pem;")?;
    writeln!(text, "ssl_client_certificate {stage}/authority.pem; ssl_verify_client on; ssl_verify_depth 2;")?;
    writeln!(
        text,
        "location = {REST}/{SIREN}/ack/remaining {{ default_type application/json; alias {folder}/listing.json; }}"
    )?;
    writeln!(
        text,
        "location ~ \"^{REST}/[0-9]+/[a-z-]+/remaining$\" {{ default_type application/json; return 200 '[]'; }}"
    )?;
    writeln!(text, "location ~ \"^{REST}/([0-9]+)/ack/download$\" {{ alias {documents}/$1.xml; }} }} }}")?;
    let file = format!("{folder}/nginx.conf");
    std::fs::write(&file, text)?;
    let mut command = Command::new("nginx");
    command.args(["-c", &file, "-p", &folder.to_string()]);
    Server::start(&mut command, port, Path::new(&format!("{folder}/log"))).await.context("nginx (package nginx-light)")
}

/// Apache with mod_dav, which shares `root` as the folders of FAST-Parapheur.
pub async fn apache(stage: &Stage, root: &Path) -> anyhow::Result<Server> {
    server_file(stage)?;
    let folder = stage.fresh("apache")?;
    let port = free_port()?;
    let (stage, root, folder) = (stage.path().display(), root.display(), folder.display());
    let modules = Path::new("/usr/lib/apache2/modules");
    let mut text = String::new();
    for module in ["mpm_event", "authz_core", "dav", "dav_fs", "ssl", "socache_shmcb", "mime", "alias"] {
        writeln!(text, "LoadModule {module}_module {}/mod_{module}.so", modules.display())?;
    }
    writeln!(text, "ServerRoot {folder}\nPidFile {folder}/pid\nServerName localhost\nListen 127.0.0.1:{port} https")?;
    writeln!(
        text,
        "User www-data\nGroup www-data\nErrorLog {folder}/error\nLogLevel warn\nMutex file:{folder} default"
    )?;
    writeln!(text, "KeepAlive On\nMaxKeepAliveRequests 0\nKeepAliveTimeout 30\nTypesConfig /etc/mime.types")?;
    writeln!(text, "DavLockDB {folder}/locks\nDocumentRoot {root}\nAlias {SHARE} {root}")?;
    writeln!(text, "SSLEngine on\nSSLCertificateFile {stage}/server.pem\nSSLCertificateKeyFile {stage}/server.pem")?;
    writeln!(text, "SSLCACertificateFile {stage}/authority.pem\nSSLVerifyClient require\nSSLVerifyDepth 2")?;
    writeln!(text, "<Directory {root}>\nDav On\nRequire all granted\n</Directory>")?;
    let file = format!("{folder}/apache.conf");
    std::fs::write(&file, text)?;
    give_to_apache(Path::new(&folder.to_string()))?;
    let mut command = Command::new("apache2");
    command.args(["-f", &file, "-D", "FOREGROUND"]);
    Server::start(&mut command, port, Path::new(&format!("{folder}/log"))).await.context("Apache (package apache2-bin)")
}

/// Apache removes files by its own rights.
pub fn give_to_apache(path: &Path) -> anyhow::Result<()> {
    let status = Command::new("chown").arg("-R").arg("www-data:www-data").arg(path).status()?;
    anyhow::ensure!(status.success(), "{} cannot be given to www-data: run this as root", path.display());
    Ok(())
}
