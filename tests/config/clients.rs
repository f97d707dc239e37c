//! The accounts that work by tokens.

use vaguemestre::config::{self, SecretRef, Weight};

use super::{ACCOUNT, Setup, told};

const DOUANE: &str = "[[douane.accounts]]\nname = \"siege\"\nusername = \"COMPTE-API\"\npassword = { file = \"pw\" }\n";
const PISTE: &str = "[[piste.accounts]]\nname = \"sne\"\nclient_id = \"app\"\nclient_secret = { env = \"PISTE\" }\n";

#[test]
fn such_accounts_alone_make_a_configuration() {
    for text in [DOUANE, PISTE] {
        Setup::new(text).settings();
    }
    let setup = Setup::new(&format!("{DOUANE}{PISTE}"));
    let settings = setup.settings();
    let (douane, piste) = (settings.douane.unwrap(), settings.piste.unwrap());
    assert_eq!(douane.token_url, "https://connexion-api.douane.gouv.fr/oauth2/token");
    assert_eq!(douane.api_url, "https://api.douane.gouv.fr");
    assert_eq!(douane.margin.as_secs(), 10);
    assert_eq!(douane.accounts[0].password, SecretRef::File(setup.path("pw")));
    assert_eq!(piste.token_url, "https://oauth.piste.gouv.fr/api/oauth/token");
    assert_eq!(piste.accounts[0].client_secret, SecretRef::Env("PISTE".to_owned()));
    assert_eq!(settings.token.socket, None, "off by default");
}

#[test]
fn each_environment_has_its_addresses_and_one_s_own_are_kept_to_the_last_slash() {
    let formation = Setup::new(&format!("[douane]\nenvironment = \"formation\"\n{DOUANE}")).settings().douane.unwrap();
    assert_eq!(formation.token_url, "https://connexion-api-form.douane.gouv.fr/oauth2/token");
    assert_eq!(formation.api_url, "https://api-form.douane.gouv.fr");
    let sandbox = Setup::new(&format!("[piste]\nenvironment = \"sandbox\"\n{PISTE}")).settings().piste.unwrap();
    assert_eq!(sandbox.token_url, "https://sandbox-oauth.piste.gouv.fr/api/oauth/token");
    assert_eq!(sandbox.api_url, "https://sandbox-api.piste.gouv.fr");
    let own =
        format!("[douane]\ntoken_url = \"http://127.0.0.1:8080/o/token/\"\napi_url = \"https://a.fr/\"\n{DOUANE}");
    let own = Setup::new(&own).settings().douane.unwrap();
    assert_eq!((own.token_url.as_str(), own.api_url.as_str()), ("http://127.0.0.1:8080/o/token/", "https://a.fr"));
}

#[test]
fn what_is_rendered_reads_back() {
    let full = format!(
        "[douane]\nenvironment = \"formation\"\nmargin = \"3s\"\n{DOUANE}[piste]\nenvironment = \"sandbox\"\n{PISTE}\
         [token]\nsocket = \"/run/v/t.sock\"\n"
    );
    let settings = Setup::new(&full).settings();
    let rendered = config::render(&settings);
    assert_eq!(Setup::new(&rendered).settings(), settings, "{rendered}");
}

#[test]
fn faults_in_their_tables_are_problems_of_that_account_alone() {
    for (line, key, words) in [
        ("username = \"\"", "username", "is empty"),
        ("password = \"hunter2\"", "password", "never inline"),
        ("usernam = \"x\"", "usernam", "unknown key"),
    ] {
        let name = line.split(' ').next().unwrap();
        let bad: String = DOUANE
            .lines()
            .filter(|given| !given.starts_with(&format!("{name} ")))
            .map(|it| format!("{it}\n"))
            .collect();
        let bad = bad.replace("siege", "autre").replace("COMPTE-API", "OTHER");
        let setup = Setup::new(&format!("{DOUANE}{bad}{line}\n"));
        setup.tells(Weight::Problem, &[&format!("douane.accounts[2] \"autre\".{key}: "), words]);
        let loaded = setup.load();
        assert!(!told(&loaded).contains("hunter2"), "a secret is never shown");
        let douane = loaded.settings.unwrap().douane.unwrap();
        assert_eq!((douane.accounts.len(), douane.unusable[0].name.as_str()), (1, "autre"));
    }
    Setup::new("[[piste.accounts]]\nname = \"sne\"\n").tells(Weight::Error, &["no account is well-formed"]);
    Setup::new(&PISTE.replace("client_secret", "# "))
        .tells(Weight::Problem, &["client_secret: missing", "never inline"]);
}

#[test]
fn global_faults_are_errors_with_their_place() {
    for (section, line, value, remedy) in [
        ("douane", "environment = \"demo\"", "\"demo\"", "\"production\" or \"formation\""),
        ("piste", "environment = \"formation\"", "\"formation\"", "\"production\" or \"sandbox\""),
        ("douane", "token_url = \"http://a.fr/t\"", "plain http to another machine", "this machine only"),
        ("piste", "token_url = \"https://u:p@a.fr/t\"", "user or password", "without user"),
        ("douane", "margin = \"2h\"", "\"2h\" is too long", "1h"),
        ("token", "socket = 1", "1 is a number", "path"),
        ("token", "sockets = \"x\"", "unknown key", "`socket`"),
    ] {
        let setup = Setup::new(&format!("[{section}]\n{line}\n{DOUANE}"));
        let key = format!("vaguemestre.toml:2: {section}.{}: ", line.split(' ').next().unwrap());
        setup.tells(Weight::Error, &[&key, value, remedy]);
    }
}

#[test]
fn a_name_or_a_client_used_twice_is_an_error() {
    let other = DOUANE.replace("siege", "autre");
    Setup::new(&format!("{DOUANE}{other}"))
        .tells(Weight::Error, &["douane.accounts[2] \"autre\".username", "\"COMPTE-API\" is used already", "siege"]);
    let other = DOUANE.replace("COMPTE-API", "OTHER");
    Setup::new(&format!("{DOUANE}{other}")).tells(Weight::Error, &["the name \"siege\" is used already"]);
    // Names are unique on their platform only.
    let same = format!("{}{}{}", ACCOUNT, DOUANE.replace("siege", "mairie"), PISTE.replace("sne", "mairie"));
    Setup::new(&same).settings();
}
