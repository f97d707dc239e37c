//! The HTTP APIs, collected by the real daemon: resources of Douane and PISTE, watches of API Entreprise.
#![cfg(feature = "simulator")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

#[path = "../common/mod.rs"]
mod common;

mod bans;
mod resources;
mod watches;

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use common::Town;
use vaguemestre::simulator::oauth::Tokens;
use vaguemestre::simulator::{Entreprise, Gateway};

const TOKEN: &str = "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjQxMDI0NDQ4MDB9.c2lnbmF0dXJl";
/// SIRENs with right check digits.
const SIRENS: [&str; 6] = ["552032534", "732829320", "356000000", "542065479", "552100554", "130025265"];

/// A town, a gateway with its token server, and API Entreprise.
struct Region {
    town: Town,
    tokens: Arc<Tokens>,
    gateway: Gateway,
    entreprise: Entreprise,
}

impl Region {
    async fn open() -> Self {
        let town = Town::bare().await;
        let tokens = Arc::new(Tokens::start().await.unwrap());
        tokens.know("COMPTE-API", "secret");
        tokens.know("application", "secret");
        let gateway = Gateway::start(Arc::clone(&tokens)).await.unwrap();
        let entreprise = Entreprise::start(TOKEN).await.unwrap();
        let region = Self { town, tokens, gateway, entreprise };
        region.secret("password", "secret");
        region.secret("jwt", TOKEN);
        region
    }

    fn secret(&self, name: &str, text: &str) {
        let path = self.town.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// An account of the customs and an application of PISTE, with `resources`.
    fn gateways(&self, resources: &str) {
        let (douane, piste, api) = (self.tokens.douane_url(), self.tokens.piste_url(), self.gateway.url());
        self.town.configure(
            "1s",
            "",
            &format!(
                "[douane]\ntoken_url = \"{douane}\"\napi_url = \"{api}\"\n[[douane.accounts]]\nname = \"siege\"\n\
                 username = \"COMPTE-API\"\npassword = {{ file = \"password\" }}\n[piste]\ntoken_url = \"{piste}\"\n\
                 api_url = \"{api}\"\n[[piste.accounts]]\nname = \"sne\"\nclient_id = \"application\"\n\
                 client_secret = {{ file = \"password\" }}\n{resources}"
            ),
        );
    }

    /// An account of API Entreprise with `watches`; `share` of its quotas.
    fn watch(&self, share: &str, watches: &str) {
        let url = self.entreprise.url();
        self.town.configure(
            "1s",
            "",
            &format!(
                "[entreprise]\nbase_url = \"{url}\"\nshare = \"{share}\"\n[[entreprise.accounts]]\nname = \"marches\"\n\
                 token = {{ file = \"jwt\" }}\ncontext = \"Marchés publics\"\nrecipient = \"55203253400646\"\n\
                 object = \"veille fournisseurs\"\n{watches}"
            ),
        );
    }
}

fn resource(platform: &str, account: &str, name: &str, path: &str, more: &str) -> String {
    format!(
        "[[{platform}.resources]]\nname = \"{name}\"\naccount = \"{account}\"\npath = \"{path}\"\nevery = \"1s\"\n{more}\n"
    )
}

fn unites_legales(subjects: &[&str], more: &str) -> String {
    let subjects: Vec<String> = subjects.iter().map(|siren| format!("\"{siren}\"")).collect();
    format!(
        "[[entreprise.watches]]\nname = \"ul\"\naccount = \"marches\"\npath = \"/v3/insee/sirene/unites_legales/{{siren}}\"\n\
         subjects = [{}]\npace = \"fast\"\n{more}\n",
        subjects.join(", ")
    )
}
