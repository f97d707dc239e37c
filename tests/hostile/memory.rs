//! Answers without end or bottom cost bounded memory.

use super::*;

/// The most memory that hostile answers may cost, in bytes.
const BOUND: u64 = 192 << 20;

/// Lets an account of `connector` list what `steps` say, until the listing is over.
async fn list(connector: &str, name: &str, steps: Vec<Step>) {
    let listing = |path: &str, body: &str| {
        path.ends_with("/remaining") || path.ends_with("/chorus-pivot/") || body.contains("listRem")
    };
    let wire =
        Wire::over_tls(move |asked| if listing(asked.path(), &asked.body) { steps.clone() } else { vec![Step::Hang] });
    let wire = wire.await;
    let town = Town::bare().await;
    let account = town.account("mairie", SIREN, Standing::Valid) + "feeds = [\"chorus\"]\n";
    town.configure("30m", &format!("connector = \"{connector}\""), &account);
    let text = std::fs::read_to_string(town.config()).unwrap();
    let text = text.replace(&town.platform.base_url(), &wire.url());
    let text = text.replace(&town.authority.display().to_string(), &common::wire::authority().display().to_string());
    std::fs::write(town.config(), text).unwrap();
    let daemon = town.start().await;
    let over = "SELECT last_outcome IS NOT NULL OR (SELECT count(*) FROM documents) >= 190000 FROM feeds";
    town.wait_value(over, "1").await;
    let used = peak(&daemon);
    assert!(used < BOUND, "{connector}: {name}: {} MiB", used >> 20);
    daemon.kill().await;
}

fn honest(body: impl AsRef<[u8]>) -> Vec<Step> {
    vec![Step::Say(answer("200 OK", "Content-Type: text/xml\r\n", body))]
}

/// An answer that begins with `start` and goes on with `more` for ever.
fn endless(start: &str, more: &str) -> Vec<Step> {
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nTransfer-Encoding: chunked\r\n\r\n{}", chunk(start));
    vec![Step::Say(head.into()), Step::Forever(chunk(&more.repeat(60_000 / more.len())).into())]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listings_of_gigabytes_and_without_bottom_cost_bounded_memory_over_rest() {
    let ids = |count: usize| (1_000_000..1_000_000 + count).map(|id| id.to_string()).collect::<Vec<_>>().join(",");
    for (name, steps) in [
        ("numbers without end", endless("[", "1,")),
        ("a string without end", endless("[\"", "x")),
        ("brackets without end", endless("[", "[")),
        ("objects in objects", honest("[".to_owned() + &"{\"a\":".repeat(5 << 20))),
        ("brackets in brackets", honest("[".repeat(31 << 20))),
        ("as many ids as fit", honest(format!("[{}]", ids(4_000_000)))),
        ("as many ids as are taken", honest(format!("[{}]", ids(249_999)))),
        ("entries that are none", honest(format!("[{}{{}}]", "{},".repeat(240_000)))),
    ] {
        list("rest", name, steps).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listings_of_gigabytes_and_without_bottom_cost_bounded_memory_over_soap() {
    let start = "<Envelope xmlns=\"http://schemas.xmlsoap.org/soap/envelope/\"><Body><s:listRemainingChorusResponse \
                 xmlns:s=\"http://sei.ws.fast.cdc.com/\">";
    for (name, steps) in [
        ("returns without end", endless(start, "<return xmlns=\"\">1</return>")),
        ("text without end", endless(start, "x")),
        ("elements in elements", endless(start, "<a>")),
        ("an attribute without end", endless(&format!("{start}<a b=\""), "x")),
        ("a name without end", endless(&format!("{start}<"), "x")),
        ("as many returns as fit", honest(start.to_owned() + &"<return xmlns=\"\">1</return>".repeat(1_000_000))),
    ] {
        list("soap", name, steps).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listings_of_gigabytes_and_without_bottom_cost_bounded_memory_over_webdav() {
    let multi = |steps: Vec<Step>| -> Vec<Step> {
        let told = |bytes: bytes::Bytes| match bytes.strip_prefix(b"HTTP/1.1 200 OK".as_slice()) {
            Some(rest) => [b"HTTP/1.1 207 OK".as_slice(), rest].concat().into(),
            None => bytes,
        };
        steps.into_iter().map(|step| if let Step::Say(bytes) = step { Step::Say(told(bytes)) } else { step }).collect()
    };
    let start = "<multistatus xmlns=\"DAV:\">";
    let base = format!("/partage/webdav/clients/{SIREN}/out/chorus-pivot/");
    let response = |name: &str| format!("<response><href>{base}{name}</href></response>");
    let all: String = (0..199_000).map(|name| response(&name.to_string())).collect();
    for (name, steps) in [
        ("responses without end", endless(start, &response("1"))),
        ("text without end", endless(start, "x")),
        ("elements in elements", endless(start, "<a>")),
        ("as many attributes as fit", honest(format!("{start}<a{}", " x=\"\"".repeat(5 << 20)))),
        ("an href of megabytes", honest(format!("{start}{}</multistatus>", response(&"%41".repeat(9 << 20))))),
        ("as many files as are taken", honest(format!("{start}{all}</multistatus>"))),
    ] {
        list("webdav", name, multi(steps)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_of_an_api_that_would_outgrow_the_memory_cost_bounded_memory() {
    let town = Town::bare().await;
    let tokens = Arc::new(Tokens::start().await.unwrap());
    tokens.know("COMPTE-API", "secret");
    let gateway = Gateway::start(Arc::clone(&tokens)).await.unwrap();
    let many = |one: &str, size: usize| format!("[{}{one}]", format!("{one},").repeat(size / (one.len() + 1)));
    let bodies = [many("{\"a\":1}", 12 << 20), many("[]", 12 << 20), many("1", 33 << 20)];
    let mut resources = String::new();
    for (number, body) in bodies.iter().enumerate() {
        gateway.put(&format!("/{number}"), "application/json", body.clone());
        for (name, more) in [("kept", ""), ("list", "items = { id = \"/a\", path = \"/x/{id}\" }\n")] {
            resources += &format!(
                "[[douane.resources]]\nname = \"{name}{number}\"\naccount = \"siege\"\npath = \"/{number}\"\nevery = \"1h\"\n{more}"
            );
        }
    }
    let password = town.folder.path().join("password");
    std::fs::write(&password, "secret").unwrap();
    std::fs::set_permissions(password, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let douane = format!(
        "[douane]\ntoken_url = \"{}\"\napi_url = \"{}\"\n[[douane.accounts]]\nname = \"siege\"\nusername = \"COMPTE-API\"\n\
         password = {{ file = \"password\" }}\n{resources}[http]\nconnections = 2\n",
        tokens.douane_url(),
        gateway.url()
    );
    town.configure("30m", "", &douane);
    let daemon = town.start().await;
    town.wait_value("SELECT count(*) FROM feeds WHERE last_outcome IS NOT NULL", "6").await;
    for row in town.query("SELECT feed, last_outcome, last_error FROM feeds WHERE kind LIKE 'list%'").await {
        assert_eq!(row[1], "failed", "{row:?}");
    }
    // Two at a time.
    let used = peak(&daemon);
    assert!(used < 256 << 20, "{} MiB", used >> 20);
    daemon.kill().await;
}
