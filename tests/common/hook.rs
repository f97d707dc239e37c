//! Business software that is told of documents, or called: a webhook on loopback, and programs in a town's folder.

use std::collections::{BTreeMap, VecDeque};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::Town;

/// What a webhook was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub line: String,
    /// By their names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Told {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// A webhook; it answers 204 unless it was given something else to say.
pub struct Hook {
    pub url: String,
    told: watch::Sender<Vec<Told>>,
    answers: Arc<Mutex<VecDeque<String>>>,
}

impl Hook {
    pub async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/documents", listener.local_addr().unwrap());
        let (told, answers) = (watch::Sender::new(Vec::new()), Arc::<Mutex<VecDeque<String>>>::default());
        let (heard, next) = (told.clone(), Arc::clone(&answers));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A caller that goes away in the middle has told nothing.
                let _ = serve(stream, &heard, &next).await;
            }
        });
        Self { url, told, answers }
    }

    /// The next answer: a status, further header lines, a body.
    pub fn answer(&self, status: &str, headers: &str, body: &str) {
        let answer =
            format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
        self.answers.lock().unwrap().push_back(answer);
    }

    pub fn told(&self) -> Vec<Told> {
        self.told.borrow().clone()
    }

    /// Waits until what it was told is `enough`.
    pub async fn until(&self, what: &str, enough: impl Fn(&[Told]) -> bool) {
        let mut heard = self.told.subscribe();
        let waited = tokio::time::timeout(super::PATIENCE, heard.wait_for(|told| enough(told))).await;
        assert!(waited.is_ok_and(|told| told.is_ok()), "{what}: {:#?}", self.told());
    }

    /// The ids of the documents it was told of, in that order.
    pub fn ids(&self) -> Vec<String> {
        self.told().iter().map(|told| told.json()["remote_id"].as_str().unwrap().to_owned()).collect()
    }

    /// The table of a target that tells this.
    pub fn target(&self, name: &str, more: &str) -> String {
        format!("[[delivery.targets]]\nname = \"{name}\"\nfeeds = [\"*\"]\nwebhook = \"{}\"\n{more}\n", self.url)
    }
}

async fn serve(
    stream: TcpStream,
    told: &watch::Sender<Vec<Told>>,
    answers: &Mutex<VecDeque<String>>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let (mut line, mut headers) = (String::new(), BTreeMap::new());
    stream.read_line(&mut line).await?;
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).await?;
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    told.send_modify(|told| told.push(Told { line: line.trim_end().to_owned(), headers, body }));
    let usual = "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n".to_owned();
    let answer = answers.lock().unwrap().pop_front().unwrap_or(usual);
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

impl Town {
    /// A file in the town's folder that programs and tests share.
    pub fn shared(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Its text; empty where there is none.
    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.shared(name)).unwrap_or_default()
    }

    /// Makes a program of `script`, which begins in the town's folder.
    pub fn program(&self, name: &str, script: &str) -> PathBuf {
        let path = self.shared(name);
        let text = format!("#!/bin/sh\ncd '{}'\n{script}\n", self.folder.path().display());
        // Beside it and renamed: a program that is being written cannot be called.
        let draft = self.shared(&format!("{name}.draft"));
        std::fs::write(&draft, text).unwrap();
        std::fs::set_permissions(&draft, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::rename(draft, &path).unwrap();
        path
    }

    /// The table of a target that calls a program of [`Town::program`] with `arguments`.
    pub fn calling(&self, name: &str, arguments: &str, more: &str) -> String {
        let program = self.shared(name);
        format!(
            "[[delivery.targets]]\nname = \"{name}\"\nfeeds = [\"*\"]\ncommand = [\"{}\"{arguments}]\n{more}\n",
            program.display()
        )
    }

    /// The feed of acquittements of `mairie`, handed to the targets of `tables`, and to these alone.
    pub fn hand_to(&self, tables: &str) {
        if !self.config().exists() {
            let mairie = self.account("mairie", super::SIREN, vaguemestre::simulator::keys::Standing::Valid);
            self.configure("1ms", "", &format!("{mairie}feeds = [\"acquittements\"]\n"));
        }
        let config = std::fs::read_to_string(self.config()).unwrap();
        let before = config.split("[[delivery.targets]]").next().unwrap();
        std::fs::write(self.config(), format!("{before}{tables}")).unwrap();
    }

    /// Feeds are listed once an hour from now on.
    pub fn list_once_an_hour(&self) {
        let config = std::fs::read_to_string(self.config()).unwrap();
        std::fs::write(self.config(), config.replace("interval = \"1ms\"", "interval = \"1h\"")).unwrap();
    }

    /// As if the pause after failed deliveries had passed.
    pub async fn let_the_pause_pass(&self) {
        self.query("UPDATE deliveries SET next_try_at = '2026-01-01T00:00:00.000Z' WHERE state = 'failed'").await;
    }
}
