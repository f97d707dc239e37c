//! The real binary, under one locale and another.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;

use vaguemestre::feed::Kind;
use vaguemestre::simulator::keys::Standing;
use vaguemestre::simulator::{Fault, Matcher, Times};

use crate::common::{self, PATIENCE, SIREN, Town, complained, told};
use crate::texts::left_in_english;

async fn run(town: &Town, locale: &str, arguments: &[&str]) -> Output {
    let mut command = town.command(arguments);
    command.env_remove("LC_ALL").env_remove("LC_MESSAGES").env_remove("LANGUAGE").env("LANG", locale);
    let output = tokio::process::Command::from(command).output();
    tokio::time::timeout(PATIENCE, output).await.unwrap().unwrap()
}

/// Runs a command under `LANG=C` and `LANG=fr_FR.UTF-8`: as many lines, the same end, and nothing left in English. Answers what
/// was said, no-break spaces made plain.
async fn both(town: &Town, arguments: &[&str]) -> (String, String) {
    let (english, french) = (run(town, "C", arguments).await, run(town, "fr_FR.UTF-8", arguments).await);
    assert_eq!(english.status.code(), french.status.code());
    let [english, french] = [english, french].map(|output| told(&output) + &complained(&output));
    assert_eq!(english.lines().count(), french.lines().count(), "{english}\n{french}");
    let left = left_in_english(&french);
    assert!(left.is_empty(), "{left:#?}\n{french}");
    (english, french.replace('\u{a0}', " "))
}

fn says(text: &str, wanted: &[&str]) {
    for words in wanted {
        assert!(text.contains(words), "not said: {words:?}\n{text}");
    }
}

#[tokio::test]
async fn check_tells_every_fault_of_a_configuration_in_french() {
    let town = Town::bare().await;
    let text = "[state]\nreserve = \"a lot\"\n[shedule]\ninterval = \"30m\"\n[schedule]\njitter = \"5\"\n\
                [fast]\nmaintenance = [\"noon\"]\nguard = \"1s\"\nconnector = \"ftp\"\nbase_url = \"http://a.example.fr\"\n\
                [log]\nlevel = 3\n\
                [[fast.accounts]]\nname = \"Mairie\"\ncertificate_password = \"secret\"\n\
                [[fast.accounts]]\nname = \"ccas\"\nsiren = 12\ncertificate = \"a.p12\"\nfeeds = [\"pes\", 7]\n\
                [[delivery.targets]]\nname = \"a\"\nfeeds = []\ninbox = \"x\"\ncommand = [\"integrer\", \"{chemin}\"]\n";
    std::fs::write(town.config(), text).unwrap();
    let (english, french) = both(&town, &["check"]).await;
    says(
        &english,
        &[
            "error: ",
            "state.reserve: \"a lot\" is not a size; write a size such as \"100MiB\"",
            "unknown key; did you mean `schedule`?",
            ".siren: 12 is a number, not a text; write its nine digits in quotes",
            "nothing can start",
        ],
    );
    says(
        &french,
        &[
            "erreur : ",
            "state.reserve : \"a lot\" n’est pas une taille ; écrivez une taille telle que \"100MiB\"",
            "clé inconnue ; vouliez-vous dire `schedule` ?",
            "schedule.jitter : \"5\" est un nombre sans son unité (d, h, m, s ou ms) ; écrivez une durée telle que",
            "fast.connector : \"ftp\" est inconnu ici ; écrivez \"rest\", \"soap\" ou \"webdav\"",
            "emploie http en clair vers une autre machine ; écrivez une adresse",
            "certificate_password : ceci est un texte, et non l’emplacement d’un secret ; un secret n’est jamais",
            ".siren : 12 est un nombre, et non un texte ; écrivez ses neuf chiffres",
            "clé absente ; ajoutez-la : ",
            "rien ne peut démarrer",
        ],
    );
    assert!(!french.contains("error: ") && !french.contains("problem"), "{french}");
    let last = french.lines().last().unwrap();
    assert!(last.contains("erreurs, ") && last.contains(" problèmes, "), "{last}");
    std::fs::remove_file(town.config()).unwrap();
    let (_, french) = both(&town, &["status"]).await;
    says(&french, &["erreur : ", "créez-le, ou nommez-en un autre avec --config ou VAGUEMESTRE_CONFIG"]);
}

#[tokio::test]
async fn check_tells_of_certificates_in_french() {
    let town = Town::bare().await;
    let mut tables = vec![
        town.account("good", SIREN, Standing::Valid),
        town.account("ended", "213400028", Standing::Expired),
        town.account("early", "213400036", Standing::NotYetValid),
        town.account("server", "213400044", Standing::ServerOnly),
        town.account("open", "213400051", Standing::Valid),
    ];
    tables.push("[[fast.accounts]]\nname = \"absent\"\nsiren = \"213400093\"\ncertificate = \"absent\"\n".to_owned());
    let open = town.folder.path().join("open");
    std::fs::set_permissions(open, std::fs::Permissions::from_mode(0o644)).unwrap();
    town.configure("30m", "", &tables.concat());
    let (english, french) = both(&town, &["check"]).await;
    says(
        &english,
        &["problem: account fast/ended certificate: ", "the certificate expired on ", "install its successor"],
    );
    says(
        &french,
        &[
            "problème : compte fast/ended certificate : ",
            "le certificat a expiré le ",
            " ; installez son successeur",
            "le certificat n’est valable qu’à partir du ",
            "le certificat ne permet pas d’authentifier un client : son usage étendu de clé n’autorise que authentification de \
             serveur ; utilisez le certificat délivré pour l’authentification d’un client",
            "open contient une clé privée et est lisible par les autres (mode 0644) ; chmod o-rwx '",
            "absent n’existe pas ; placez-y le fichier",
            "state n’existe pas encore ; `vaguemestre run` le crée",
            "5 problèmes, ",
            "1 compte en état de fonctionner",
        ],
    );
}

#[tokio::test]
async fn status_tells_every_trouble_in_french() {
    let town = Town::bare().await;
    let tables = town.account("a-well", SIREN, Standing::Valid)
        + &town.account("b-denied", "213400010", Standing::Valid)
        + &town.account("c-left", "213400028", Standing::Valid)
        + &town.account("d-shut", "213400036", Standing::Expired);
    town.configure("1s", "", &tables);
    let listing = Matcher::listing("213400010", Kind::PesRetour);
    town.platform.set_fault(listing, Fault::Status(403, "".into(), Vec::new()), Times::Always);
    town.platform.put("213400028", Kind::Chorus, 7, common::sample(Kind::Chorus, 7, 2000));
    town.platform.set_fault(Matcher::download(7), Fault::HtmlWith200, Times::Always);
    let daemon = town.start().await;
    town.wait_value("SELECT state FROM documents WHERE remote_id = '7'", "abandoned").await;
    town.wait_value("SELECT consecutive_failures >= 2 FROM feeds WHERE feed = 'fast/b-denied/pes-retour'", "1").await;
    town.wait_value("SELECT consecutive_failures >= 2 FROM feeds WHERE feed = 'fast/d-shut/chorus'", "1").await;
    let running = run(&town, "fr_FR.UTF-8", &["status"]).await;
    says(
        &told(&running).replace('\u{a0}', " "),
        &["vaguemestre : en marche (processus ", " (heure de Paris)), 12 flux, dont "],
    );
    assert!(daemon.stop().await.success());

    let (english, french) = both(&town, &["status"]).await;
    says(
        &english,
        &[
            "vaguemestre: NOT RUNNING, 12 feeds, ",
            "FEED ",
            "  ERROR: account fast/d-shut cannot work: the certificate expired on ",
            "    what to do: ",
            "1 document of fast/c-left/chorus abandoned: no more tries",
        ],
    );
    says(
        &french,
        &[
            "vaguemestre : ARRÊTÉ, 12 flux, dont ",
            " en échec, ",
            "1 compte ne peut fonctionner",
            "  ERREUR : le démon ne fonctionne pas : rien n’est collecté\n    que faire : `systemctl start vaguemestre` ; s’il ne",
            "  ERREUR : le compte fast/d-shut ne peut fonctionner : le certificat a expiré le ",
            " (depuis le ",
            "installez son successeur",
            "FLUX ",
            "DERNIÈRE LISTE",
            "1 document de fast/c-left/chorus abandonné : plus aucun essai",
            "`vaguemestre documents fast/c-left/chorus --state abandoned` dit pourquoi : réglez le problème, puis",
            "  PASSAGER : fast/b-denied/pes-retour est en échec : ",
            "FAST refuse l’accès à ce SIREN ou à ce flux",
            "demandez à l’assistance de FAST de donner à ce certificat le droit sur ce SIREN",
        ],
    );

    // What programs read is the same for all.
    for arguments in [&["status", "--nagios"][..], &["documents"], &["--help"], &["config"]] {
        let [english, french] = [run(&town, "C", arguments).await, run(&town, "fr_FR.UTF-8", arguments).await];
        assert_eq!(told(&english), told(&french), "{arguments:?}");
    }
    let json = async |locale| -> serde_json::Value {
        let mut value: serde_json::Value =
            serde_json::from_slice(&run(&town, locale, &["status", "--json"]).await.stdout).unwrap();
        value["at"].take();
        value["machine"].take();
        value
    };
    assert!(json("C").await == json("fr_FR.UTF-8").await, "what programs read is the same");
}

#[tokio::test]
async fn texts_of_other_days_in_the_ledger_are_told_in_french_too() {
    let town = Town::with_interval("30m").await;
    let daemon = town.start().await;
    town.wait_value("SELECT count(*) FROM polls WHERE outcome = 'ok'", "3").await;
    assert!(daemon.stop().await.success());
    let error = "network down (no connection to parapheur.dfast.fr: Connection refused (os error 111)): check the network, the \
                 name server, the firewall (port 443 outwards) and [http] proxy of this machine";
    town.query(&format!(
        "UPDATE feeds SET consecutive_failures = 3, failing_since = '2026-11-22T10:00:00.000Z', last_outcome = 'failed', \
         last_error = '{error}' WHERE feed = 'fast/mairie/chorus'"
    ))
    .await;
    town.query(
        "UPDATE feeds SET consecutive_failures = 1, failing_since = '2026-11-22T10:00:00.000Z', \
         last_error = 'un cri d''ailleurs: nothing we know' WHERE feed = 'fast/mairie/pes-retour'",
    )
    .await;
    let (english, french) = both(&town, &["status"]).await;
    says(&english, &[error]);
    says(
        &french,
        &[
            "réseau indisponible (pas de connexion à parapheur.dfast.fr : Connexion refusée (erreur système 111)) : vérifiez le \
             réseau, le serveur de noms, le pare-feu (port 443 en sortie) et [http] proxy sur cette machine",
            "  ERREUR : fast/mairie/chorus est en échec : ",
            "fast/mairie/pes-retour est en échec : un cri d'ailleurs: nothing we know (depuis le ",
        ],
    );
}

#[tokio::test]
async fn errors_come_with_their_remedy_in_french() {
    let town = Town::with_interval("30m").await;
    let (english, french) = both(&town, &["status"]).await;
    says(&english, &["error: ", "  remedy: "]);
    says(
        &french,
        &["erreur : il n’y a pas de registre dans ", "  remède : lancez une fois le démon, ou `vaguemestre poll`"],
    );
}
