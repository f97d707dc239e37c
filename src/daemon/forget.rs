//! An account that has left: its rows, its copies, what was set aside of it, its tokens. Only one that is no longer configured.
//!
//! Files go before their rows, which say so beforehand: a command that is cut short is given again, and finds what is left.

use tokio::task::spawn_blocking;

use super::House;
use super::operate::Answer;
use crate::archive::{layout, remove};
use crate::clock::stamp;
use crate::config::{Settings, UnusableAccount};
use crate::ledger::{Belongings, Departure, Leaving, LedgerError};

/// Documents forgotten together.
const PAGE: u32 = 500;

/// Forgets `account`; without `sure`, says what that would mean.
pub(super) async fn forget(house: &House, account: &str, sure: bool) -> Result<Answer, LedgerError> {
    let refuse = |text: String| Ok(Answer { text: format!("{text}\n"), exit_code: 1 });
    if is_configured(&house.plan().settings, account) {
        return refuse(format!(
            "{account} is in the configuration: remove its table first, and reload (`systemctl reload vaguemestre`)"
        ));
    }
    let feeds = match house.ledger.departure(account).await? {
        Departure::Free(feeds) => feeds,
        other => return refuse(why_not(account, other)),
    };
    let all = house.ledger.belongings(&feeds).await?;
    let Belongings { documents, copies, set_aside } = all;
    let what = format!(
        "{documents} documents of {}, {copies} copies in the archive, {set_aside} files of the quarantine",
        feeds.join(", ")
    );
    if !sure {
        return refuse(format!(
            "{account}: {what} would be forgotten for good; `vaguemestre export {account} DIR` keeps them elsewhere; \
             if you are sure: `vaguemestre forget {account} --yes`"
        ));
    }
    for feed in &feeds {
        loop {
            let page = house.ledger.begin_to_forget(feed, PAGE, stamp(house.clock.now())).await?;
            if page.is_empty() {
                break;
            }
            if let Err(error) = remove_files(house, page.clone()).await {
                return refuse(format!("{account}: {error}; mend that, and give the command again to forget the rest"));
            }
            house.ledger.forget_documents(page.iter().map(|leaving| leaving.id).collect()).await?;
        }
    }
    let (root, folder) = (house.state.path().to_owned(), format!("{}/{account}", layout::ARCHIVE));
    // What stays of them holds no document.
    let _ = spawn_blocking(move || remove::remove_empty(&root, &folder)).await;
    match house.ledger.forget_account(account).await? {
        Departure::Free(_) => Ok(Answer {
            text: format!(
                "{account}: {what} are forgotten; copies of the ledger in [state] backup know of them for a week, and \
                 inboxes are left as they are\n"
            ),
            exit_code: 0,
        }),
        other => refuse(why_not(account, other)),
    }
}

fn why_not(account: &str, departure: Departure) -> String {
    match departure {
        Departure::Configured(feed) => format!("{feed} is configured again: remove it first, and reload"),
        Departure::Polled(feed) => {
            format!("{feed} is being polled this moment: give the command again when that has ended")
        }
        Departure::Unknown | Departure::Free(_) => {
            format!("the ledger knows no account {account}; name it as `status` does, such as fast/mairie")
        }
    }
}

/// Whether the configuration has an account of this name, whatever its state.
fn is_configured(settings: &Settings, account: &str) -> bool {
    let Some((platform, name)) = account.split_once('/') else { return false };
    let among = |unusable: &[UnusableAccount]| unusable.iter().any(|it| it.name == name);
    match platform {
        "fast" => settings.fast.iter().any(|it| it.accounts.iter().any(|it| it.name == name) || among(&it.unusable)),
        "douane" => {
            settings.douane.iter().any(|it| it.accounts.iter().any(|it| it.name == name) || among(&it.unusable))
        }
        "piste" => settings.piste.iter().any(|it| it.accounts.iter().any(|it| it.name == name) || among(&it.unusable)),
        _ => settings.entreprise.iter().any(|it| it.accounts.iter().any(|it| it.name == name) || among(&it.unusable)),
    }
}

/// Removes the files of documents; the first that would not go is told.
async fn remove_files(house: &House, page: Vec<Leaving>) -> std::io::Result<()> {
    let root = house.state.path().to_owned();
    let today = house.clock.now().to_zoned(jiff::tz::TimeZone::UTC).date();
    spawn_blocking(move || {
        let files = |leaving: &Leaving| [leaving.archive_path.clone(), leaving.quarantine_path.clone()];
        let paths: Vec<String> = page.iter().flat_map(files).flatten().collect();
        remove::remove_all(&root, &paths, today).into_iter().collect::<std::io::Result<()>>()
    })
    .await?
}
