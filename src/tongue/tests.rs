use super::*;

fn tongue(variables: &[(&str, &str)]) -> Tongue {
    let variables = variables.to_vec();
    Tongue::of_locale(|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
}

fn french(text: &str) -> String {
    // The no-break spaces are hard to see in a test, and have one of their own.
    Tongue::French.say(text).replace('\u{a0}', " ")
}

#[test]
fn the_locale_decides_in_the_order_of_posix() {
    for french in ["fr", "fr_FR", "fr_FR.UTF-8", "fr_FR.utf8", "fr_CA", "fr_BE.UTF-8@euro"] {
        assert_eq!(tongue(&[("LANG", french)]), Tongue::French, "{french}");
    }
    for other in ["", "C", "C.UTF-8", "POSIX", "en_GB.UTF-8", "de_DE.UTF-8", "frp_FR", "fur_IT", "fr_FR.ISO-8859-1"] {
        assert_eq!(tongue(&[("LANG", other)]), Tongue::English, "{other}");
    }
    assert_eq!(tongue(&[]), Tongue::English);
    assert_eq!(tongue(&[("LANG", "fr_FR"), ("LC_MESSAGES", "C")]), Tongue::English);
    assert_eq!(tongue(&[("LANG", "C"), ("LC_MESSAGES", "fr_FR")]), Tongue::French);
    assert_eq!(tongue(&[("LC_ALL", "C"), ("LC_MESSAGES", "fr_FR"), ("LANG", "fr_FR")]), Tongue::English);
    assert_eq!(tongue(&[("LC_ALL", ""), ("LC_MESSAGES", ""), ("LANG", "fr_FR")]), Tongue::French);
}

#[test]
fn a_list_of_languages_goes_before_the_locale_unless_that_is_c() {
    let with = |list, locale| tongue(&[("LANGUAGE", list), ("LANG", locale)]);
    assert_eq!(with("fr:en", "en_GB.UTF-8"), Tongue::French);
    assert_eq!(with("en:fr", "fr_FR.UTF-8"), Tongue::English);
    assert_eq!(with("br:fr_FR", "de_DE.UTF-8"), Tongue::French);
    assert_eq!(with("br", "fr_FR.UTF-8"), Tongue::French);
    assert_eq!(with("fr", "C"), Tongue::English);
    assert_eq!(with("", "fr_FR.UTF-8"), Tongue::French);
}

#[test]
fn a_browser_is_answered_in_the_language_that_it_likes_best() {
    for french in ["fr", "fr-FR,fr;q=0.9,en;q=0.8", "en;q=0.5, FR-ca ;q=0.7", "de, fr;q=0.1", "en;q=0, fr;q=0.1"] {
        assert_eq!(Tongue::of_browser(french), Tongue::French, "{french}");
    }
    for other in ["", "*", "en-GB,en;q=0.9,fr;q=0.8", "en,fr", "de", "fr;q=0", "fr;q=much", ";;,,q=1"] {
        assert_eq!(Tongue::of_browser(other), Tongue::English, "{other}");
    }
}

#[test]
fn what_varies_is_carried_over_and_read_where_it_is_a_sentence_itself() {
    assert_eq!(
        french("/etc/mairie.p12 is damaged: its content is something else"),
        "/etc/mairie.p12 est abîmé : son contenu est d’une autre nature"
    );
    assert_eq!(french("\"12\" is not a SIREN"), "\"12\" n’est pas un SIREN");
    assert_eq!(
        french("\"is not a host; x\" is a text, not a list"),
        "\"is not a host; x\" est un texte, et non une liste"
    );
    assert_eq!(french("write \"rest\", \"soap\" or \"webdav\""), "écrivez \"rest\", \"soap\" ou \"webdav\"");
    assert_eq!(french("write {siren} or {siret} or {id}"), "écrivez {siren} ou {siret} ou {id}");
    assert_eq!(french("write foo or bar"), "écrivez foo or bar");
    assert_eq!(
        french("write a length of time such as \"30m\", \"90s\", \"1h30m\" or \"7d\", from 30m to 1d"),
        "écrivez une durée telle que \"30m\", \"90s\", \"1h30m\" ou \"7d\", de 30m à 1d"
    );
}

#[test]
fn texts_of_the_ledger_are_read_with_cause_and_remedy() {
    assert_eq!(
        french(
            "FAST refuses the certificate (parapheur.dfast.fr refused the connection (TLS alert BadCertificate)): ask FAST \
             support whether this certificate is registered for the SIREN; the other causes are a revoked certificate, a \
             missing intermediate certificate, or a device that inspects TLS on the way"
        ),
        "FAST refuse le certificat (parapheur.dfast.fr a refusé la connexion (alerte TLS BadCertificate)) : demandez à \
         l’assistance de FAST si ce certificat est enregistré pour le SIREN ; les autres causes possibles sont un certificat \
         révoqué, un certificat intermédiaire manquant ou un équipement qui inspecte TLS en chemin"
    );
    assert_eq!(
        french("siren: missing; certificate: 12 is a number, not a text"),
        "siren : clé absente ; certificate : 12 est un nombre, et non un texte"
    );
    assert_eq!(
        french(
            "running (process 12 since 2026-11-22 10:00:00 (Paris)), 3 feeds, 1 well, 1 failing, 1 new, 1 account cannot work, 5 documents held"
        ),
        "en marche (processus 12 depuis le 2026-11-22 10:00:00 (heure de Paris)), 3 flux, dont 1 en ordre, 1 en échec, 1 nouveau, \
         1 compte ne peut fonctionner, 5 documents détenus"
    );
}

#[test]
fn the_more_particular_of_two_sentences_is_meant() {
    assert_eq!(
        french("account fast/mairie cannot work: siren: \"12\" is not a SIREN; certificate: missing"),
        "le compte fast/mairie ne peut fonctionner : siren : \"12\" n’est pas un SIREN ; certificate : clé absente"
    );
    assert_eq!(french("account fast/mairie: the daemon is stopping"), "compte fast/mairie : le démon s’arrête");
    assert_eq!(
        french("the platform answers 503: Service Unavailable"),
        "la plateforme répond 503 : Service Unavailable"
    );
}

#[test]
fn lines_of_a_notice_keep_their_place() {
    let notice = "vaguemestre on ged: 2 problems: fast/a/chorus fails: see the log, …\n\nERROR, since 2026-11-22 10:00: fast/a/chorus \
                  fails: see the log\n  what to do: correct it; the account goes on with its present certificate until that ends\n  \
                  M. Dupont\n";
    let said = "vaguemestre sur ged : 2 problèmes : fast/a/chorus est en échec : voyez le journal, …\n\nERREUR, depuis le \
                2026-11-22 10:00 : fast/a/chorus est en échec : voyez le journal\n  que faire : corrigez-le ; le compte continue \
                avec son certificat actuel jusqu’à la fin de celui-ci\n  M. Dupont\n";
    assert_eq!(french(notice), said);
}

#[test]
fn number_decides_between_two_forms() {
    let text = |count: i64| french(&format!("{count} held already, and still listed by the platform: left alone"));
    assert_eq!(text(1), "1 déjà détenu, et toujours listé par la plateforme : laissé tel quel");
    assert_eq!(text(2), "2 déjà détenus, et toujours listés par la plateforme : laissés tels quels");
    assert_eq!(
        french("1 document of fast/mairie/chorus lost: asked for, interrupted, and no longer there"),
        "1 document de fast/mairie/chorus perdu : demandé, interrompu, et désormais introuvable"
    );
    assert_eq!(french("0 documents held"), "0 document détenu");
}

#[test]
fn what_is_not_known_stays_as_it_is() {
    for text in [
        "",
        " ",
        ":",
        "; ",
        "(",
        ")",
        "a (b",
        "foo: bar; baz",
        "error: failed; new",
        "the sky is blue",
        "«missing»",
        "{}",
        "x\ny",
    ] {
        assert_eq!(Tongue::French.say(text), text);
    }
    assert_eq!(french("Erreur: the disk of hope is full"), "Erreur: the disk of hope is full");
}

#[test]
fn english_is_what_the_sources_say() {
    let text = "/etc/mairie.p12 is damaged: its content is something else";
    assert!(matches!(Tongue::English.say(text), Cow::Borrowed(said) if said == text));
}

#[test]
fn the_catalogue_reads() {
    assert!(catalogue::Catalogue::read(include_str!("../../locale/fr.toml")).is_ok());
}

#[test]
fn every_sentence_of_the_catalogue_is_said_with_what_varies_in_its_place() {
    let file: toml::Table = toml::from_str(include_str!("../../locale/fr.toml")).unwrap();
    let fill = |template: &str, with: &str| -> String {
        let mut pieces = template.split("{}").map(str::to_owned);
        let first = pieces.next().unwrap();
        pieces.enumerate().fold(first, |text, (number, piece)| format!("{text}{with}{number}{piece}"))
    };
    for (english, french) in file.values().flat_map(|sentences| sentences.as_table().unwrap()) {
        let plural = french.as_array().and_then(|forms| forms.get(1)).unwrap_or(french).as_str().unwrap();
        for with in ["Zq", "/zq/Zq-", "\"z; q\".zq"] {
            assert_eq!(Tongue::French.say(&fill(english, with)), fill(plural, with), "{english:?}");
        }
    }
}

#[test]
fn what_others_say_within_a_sentence_of_ours_is_not_touched() {
    assert_eq!(
        french("fast/x/y fails: un cri d'ailleurs: nothing; known"),
        "fast/x/y est en échec : un cri d'ailleurs: nothing; known"
    );
    assert_eq!(french("the ledger /x failed: disk: x (y, z); q"), "le registre /x a échoué : disk: x (y, z); q");
}

#[test]
fn a_text_made_to_be_hard_is_given_up_in_time() {
    for piece in ["a is b (c), not d: e; ", "(", "a ", ", ", "status 1: ", "is not a list; "] {
        let hard = piece.repeat(LONGEST / piece.len());
        let started = tokio::time::Instant::now();
        let _ = Tongue::French.say(&hard);
        assert!(started.elapsed().as_secs() < 5, "{piece:?}: {:?}", started.elapsed());
    }
}

proptest::proptest! {
    #[test]
    fn it_never_panics_and_keeps_names(text in "(is|not|a|the|:|;|,|\\(|\\)|\"|`|«|é|cannot|be|read|status|[0-9]| |\u{a0}){0,60}") {
        let _ = Tongue::French.say(&text);
    }

    #[test]
    fn any_text_is_survived(text in "\\PC{0,200}") {
        let _ = Tongue::French.say(&text);
    }

    #[test]
    fn a_path_comes_through_whole(name in "[a-zA-Z0-9/._:;-]{1,40}") {
        let said = Tongue::French.say(&format!("{name} does not exist")).into_owned();
        proptest::prop_assert_eq!(said, format!("{name} n’existe pas"));
    }
}
