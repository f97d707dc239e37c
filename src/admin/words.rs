//! Everything the page says in words of its own. What it repeats (names, errors, remedies) comes from where it was said.

use std::borrow::Cow;

use crate::status::Severity;
use crate::tongue::Tongue;
use crate::words::counted;

/// The page's own words, in one language.
pub(super) struct Words {
    /// What is repeated is said in it as well.
    tongue: Tongue,
    /// As `lang` has it.
    pub(super) language: &'static str,
    pub(super) as_of: &'static str,
    pub(super) zone: &'static str,
    pub(super) not_yet: &'static str,
    pub(super) problems: &'static str,
    pub(super) all_is_well: &'static str,
    pub(super) stale: &'static str,
    pub(super) severity: fn(Severity) -> &'static str,
    pub(super) since: &'static str,
    pub(super) remedy: &'static str,
    pub(super) feeds: &'static str,
    pub(super) feed: &'static str,
    pub(super) health: &'static str,
    pub(super) last_listing: &'static str,
    pub(super) next_poll: &'static str,
    pub(super) held: &'static str,
    pub(super) failed: &'static str,
    pub(super) to_deliver: &'static str,
    pub(super) filter: &'static str,
    pub(super) filter_hint: &'static str,
    pub(super) show: &'static str,
    pub(super) show_all: &'static str,
    pub(super) no_feed: &'static str,
    pub(super) accounts: &'static str,
    pub(super) account: &'static str,
    pub(super) credential: &'static str,
    pub(super) certificate: &'static str,
    pub(super) token: &'static str,
    pub(super) ends: &'static str,
    pub(super) days_left: &'static str,
    pub(super) ended: &'static str,
    pub(super) works: &'static str,
    pub(super) cannot_work: &'static str,
    pub(super) targets: &'static str,
    pub(super) target: &'static str,
    pub(super) way: &'static str,
    pub(super) waiting: &'static str,
    pub(super) given_up: &'static str,
    pub(super) documents_per_day: &'static str,
    pub(super) day: &'static str,
    pub(super) documents: &'static str,
    pub(super) as_a_table: &'static str,
    pub(super) no_plot: &'static str,
    pub(super) quotas: &'static str,
    pub(super) quota: &'static str,
    pub(super) per_minute: &'static str,
    pub(super) left: &'static str,
    pub(super) closed_until: &'static str,
    pub(super) running_since: &'static str,
    pub(super) for_programs: &'static str,
    /// The page's title, by what is amiss.
    pub(super) in_short: fn(usize) -> String,
    /// So many more than those shown.
    pub(super) more: fn(usize) -> String,
    /// The plot in a sentence: documents in all, days, the most in a day, and when that was.
    pub(super) plotted: fn(u64, usize, u64, &str) -> String,
    /// So many documents on a day.
    pub(super) on_day: fn(&str, u64) -> String,
}

impl Words {
    /// The words of `tongue`.
    pub(super) const fn of(tongue: Tongue) -> &'static Self {
        match tongue {
            Tongue::English => &ENGLISH,
            Tongue::French => &FRENCH,
        }
    }

    /// What was said elsewhere, in this language.
    pub(super) fn say<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.tongue.say(text)
    }

    /// What stands before what is said of something.
    pub(super) const fn colon(&self) -> &'static str {
        self.tongue.colon()
    }
}

/// English.
pub(super) const ENGLISH: Words = Words {
    tongue: Tongue::English,
    language: "en",
    as_of: "As of",
    zone: "Times are those of Paris.",
    not_yet: "Nothing is known yet: the daemon has only just started. Load this page again in a few seconds.",
    problems: "What needs someone",
    all_is_well: "Nothing needs anybody.",
    stale: "What is told below is old: the ledger does not answer, or the daemon cannot keep up. The log says why: \
            `journalctl -u vaguemestre -n 50`.",
    severity: |severity| match severity {
        Severity::Error => "someone must act",
        Severity::Warning => "someone should know",
        Severity::Passing => "may pass by itself",
    },
    since: "since",
    remedy: "What to do:",
    feeds: "Feeds",
    feed: "Feed",
    health: "Health",
    last_listing: "Last listing",
    next_poll: "Next poll",
    held: "Held",
    failed: "Failed",
    to_deliver: "To deliver",
    filter: "Only feeds or accounts named",
    filter_hint: "such as fast/* or */acquittements",
    show: "Show",
    show_all: "Show all",
    no_feed: "There is no feed of that name.",
    accounts: "Accounts",
    account: "Account",
    credential: "Credential",
    certificate: "certificate",
    token: "token",
    ends: "Ends",
    days_left: "Days left",
    ended: "ended",
    works: "works",
    cannot_work: "cannot work",
    targets: "Targets",
    target: "Target",
    way: "Way",
    waiting: "Waiting",
    given_up: "Given up",
    documents_per_day: "Documents per day",
    day: "Day",
    documents: "Documents",
    as_a_table: "The same as a table",
    no_plot: "The ledger could not be asked.",
    quotas: "Quotas of API Entreprise",
    quota: "Quota",
    per_minute: "Calls a minute",
    left: "Left",
    closed_until: "closed until",
    running_since: "running since",
    for_programs: "For programs:",
    in_short: |troubles| if troubles == 0 { "all is well".to_owned() } else { counted(troubles, "problem") },
    more: |count| format!("{count} more are not shown: name some above, or ask `vaguemestre status`."),
    plotted: |all, days, most, when| match all {
        0 => format!("None came in the last {days} days."),
        _ => format!("{all} came in the last {days} days; the most in a day were {most}, on {when}."),
    },
    on_day: |day, count| format!("{day}: {}", counted(usize::try_from(count).unwrap_or(usize::MAX), "document")),
};

/// French.
const FRENCH: Words = Words {
    tongue: Tongue::French,
    language: "fr",
    as_of: "État au",
    zone: "Les heures sont celles de Paris.",
    not_yet: "Rien n’est encore connu\u{a0}: le démon vient de démarrer. Rechargez cette page dans quelques secondes.",
    problems: "Ce qui demande quelqu’un",
    all_is_well: "Rien ne demande personne.",
    stale: "Ce qui est dit ci-dessous est ancien\u{a0}: le registre ne répond pas, ou le démon ne suit plus. Le journal dit \
            pourquoi\u{a0}: `journalctl -u vaguemestre -n 50`.",
    severity: |severity| match severity {
        Severity::Error => "quelqu’un doit agir",
        Severity::Warning => "quelqu’un doit le savoir",
        Severity::Passing => "peut passer de soi-même",
    },
    since: "depuis",
    remedy: "Que faire\u{a0}:",
    feeds: "Flux",
    feed: "Flux",
    health: "État",
    last_listing: "Dernière liste",
    next_poll: "Prochaine relève",
    held: "Détenus",
    failed: "En échec",
    to_deliver: "À remettre",
    filter: "Seulement les flux ou comptes nommés",
    filter_hint: "par exemple fast/* ou */acquittements",
    show: "Afficher",
    show_all: "Tout afficher",
    no_feed: "Aucun flux ne porte ce nom.",
    accounts: "Comptes",
    account: "Compte",
    credential: "Identifiant",
    certificate: "certificat",
    token: "jeton",
    ends: "Expire",
    days_left: "Jours restants",
    ended: "expiré",
    works: "fonctionne",
    cannot_work: "ne peut fonctionner",
    targets: "Cibles",
    target: "Cible",
    way: "Moyen",
    waiting: "En attente",
    given_up: "Abandonnées",
    documents_per_day: "Documents par jour",
    day: "Jour",
    documents: "Documents",
    as_a_table: "Les mêmes en tableau",
    no_plot: "Le registre n’a pu être interrogé.",
    quotas: "Quotas d’API Entreprise",
    quota: "Quota",
    per_minute: "Appels par minute",
    left: "Restants",
    closed_until: "fermé jusqu’à",
    running_since: "en marche depuis",
    for_programs: "Pour les programmes\u{a0}:",
    in_short: |troubles| match troubles {
        0 => "tout va bien".to_owned(),
        1 => "1 problème".to_owned(),
        more => format!("{more} problèmes"),
    },
    more: |count| match count {
        1 => "1 autre n’est pas montré\u{a0}: nommez-en ci-dessus, ou interrogez `vaguemestre status`.".to_owned(),
        more => {
            format!("{more} autres ne sont pas montrés\u{a0}: nommez-en ci-dessus, ou interrogez `vaguemestre status`.")
        }
    },
    plotted: |all, days, most, when| match all {
        0 => format!("Aucun n’est arrivé ces {days} derniers jours."),
        1 => format!("Un seul est arrivé ces {days} derniers jours, le {when}."),
        _ => format!("{all} sont arrivés ces {days} derniers jours\u{a0}; au plus {most} en un jour, le {when}."),
    },
    on_day: |day, count| format!("{day}\u{a0}: {count} document{}", if count < 2 { "" } else { "s" }),
};
