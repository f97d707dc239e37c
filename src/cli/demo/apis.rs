//! The platforms with HTTP APIs, as the demo plays them: Douane, PISTE, API Entreprise.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, ensure};

use super::narration::Narration;
use super::stage::INTERVAL;
use crate::simulator::oauth::Tokens;
use crate::simulator::{Entreprise, Gateway};

const JWT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjQxMDI0NDQ4MDB9.c2lnbmF0dXJl";
/// Companies that are watched.
const SIRENS: [&str; 3] = ["552032534", "732829320", "552100554"];

/// The platforms, on loopback.
pub(super) struct Apis {
    tokens: Arc<Tokens>,
    gateway: Gateway,
    entreprise: Entreprise,
    /// Versions that are to be handed over so far: of the customs' resource, of PISTE's, of the companies.
    expected: [usize; 3],
}

impl Apis {
    /// Starts the platforms, and writes their secrets into `folder`.
    pub(super) async fn start(folder: &Path) -> anyhow::Result<Self> {
        let tokens = Arc::new(Tokens::start().await?);
        tokens.know("COMPTE-API", "demonstration");
        tokens.know("application", "demonstration");
        let gateway = Gateway::start(Arc::clone(&tokens)).await?;
        gateway.put("/suivi", "application/json", r#"{"declaration":"26FR1","etat":"deposee"}"#);
        gateway.put("/healthcheck", "application/json", r#"{"version":"1.0","etat":"OK"}"#);
        let entreprise = Entreprise::start(JWT).await?;
        for (name, secret) in [("secret", "demonstration"), ("jwt", JWT)] {
            let path = folder.join(name);
            std::fs::write(&path, secret).with_context(|| format!("{} cannot be written", path.display()))?;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        }
        Ok(Self { tokens, gateway, entreprise, expected: [1, 1, SIRENS.len()] })
    }

    /// What is written of them in the configuration.
    pub(super) fn configuration(&self) -> String {
        let every = INTERVAL.as_secs();
        let (api, sirens) = (self.gateway.url(), SIRENS.map(|siren| format!("\"{siren}\"")).join(", "));
        format!(
            r#"
[douane]
token_url = "{}"
api_url = "{api}"

[[douane.accounts]]
name = "siege"
username = "COMPTE-API"
password = {{ file = "secret" }}

[[douane.resources]]
name = "suivi"
account = "siege"
path = "/suivi"
every = "{every}s"

[piste]
token_url = "{}"
api_url = "{api}"

[[piste.accounts]]
name = "sne"
client_id = "application"
client_secret = {{ file = "secret" }}

[[piste.resources]]
name = "sante"
account = "sne"
path = "/healthcheck"
every = "{every}s"

[entreprise]
base_url = "{}"

[[entreprise.accounts]]
name = "marches"
token = {{ file = "jwt" }}
context = "Demonstration"
recipient = "55203253400646"
object = "veille fournisseurs"

[[entreprise.watches]]
name = "unites-legales"
account = "marches"
path = "/v3/insee/sirene/unites_legales/{{siren}}"
subjects = [{sirens}]
every = "{every}s"
pace = "fast"
"#,
            self.tokens.douane_url(),
            self.tokens.piste_url(),
            self.entreprise.url(),
        )
    }

    /// All tokens are revoked early, a declaration moves on, a company takes another name.
    pub(super) fn shake(&mut self) {
        self.tokens.revoke_all();
        self.gateway.put("/suivi", "application/json", r#"{"declaration":"26FR1","etat":"acceptee"}"#);
        self.entreprise.rename(SIRENS[0], "AUTRE NOM");
        self.expected = [2, 1, SIRENS.len() + 1];
    }

    /// Whether every version so far is handed over.
    pub(super) fn is_complete(&self, heard: &Narration) -> bool {
        self.expected == self.counts(heard)
    }

    /// Versions handed over.
    fn counts(&self, heard: &Narration) -> [usize; 3] {
        let of = |subjects: &[&str]| {
            let is_one = |id: &&String| subjects.iter().any(|subject| id.starts_with(&format!("{subject}@")));
            heard.delivered.iter().filter(is_one).count()
        };
        [of(&["suivi"]), of(&["sante"]), of(&SIRENS)]
    }

    /// What the story waits for.
    pub(super) fn missing(&self, heard: &Narration) -> String {
        format!("{:?} versions instead of {:?}", self.counts(heard), self.expected)
    }

    /// Compares what was asked of the platforms with what had to be. Answers versions, requests for tokens, and calls.
    pub(super) fn verify(&self) -> anyhow::Result<(usize, usize, usize)> {
        let (asked, calls) = (self.tokens.requests().len(), self.entreprise.calls());
        ensure!(asked == 4, "{asked} tokens were asked for instead of 4");
        ensure!(calls.iter().all(|call| call.status == 200), "API Entreprise refused a call");
        Ok((self.expected.iter().sum(), asked, calls.len()))
    }
}
