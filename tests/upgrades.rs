//! A ledger of every schema that was released opens, is copied aside without its tokens, migrates, and keeps its promises:
//! what is held is not asked for again, what was open comes, what waited to be delivered is, nothing is listed too early.
#![cfg(feature = "simulator")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

mod common;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use common::{SIREN, Town, query_at, sample};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _};
use vaguemestre::clock::{Clock as _, SystemClock, stamp};
use vaguemestre::feed::Kind;
use vaguemestre::simulator::Call;
use vaguemestre::simulator::keys::Standing;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// The schemas that were released, less the present one.
fn earlier() -> Vec<i64> {
    let mut versions: Vec<i64> = MIGRATIONS.iter().map(|migration| migration.version).collect();
    versions.sort_unstable();
    versions.pop();
    versions
}

const TOKEN: &str = "very-secret-access-token";

/// A town whose state directory was left by the version that had `version` as its last migration: documents of feed `chorus` in
/// every state, their copies in the archive, a listing an hour ago, a claim of a run that died.
struct Heritage {
    town: Town,
    now: Timestamp,
}

impl Heritage {
    async fn of(version: i64) -> Self {
        let town = Town::bare().await;
        town.configure(
            "30m",
            "",
            &(town.account("mairie", SIREN, Standing::Valid) + "feeds = [\"chorus\", \"pes-retour\"]\n"),
        );
        let now = SystemClock::new().now();
        let state = town.state();
        std::fs::create_dir(&state).unwrap();
        std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o750)).unwrap();
        // As that version left it: its migrations alone, each with its checksum.
        let migrations = town.folder.path().join("migrations");
        std::fs::create_dir(&migrations).unwrap();
        for migration in MIGRATIONS.iter().filter(|migration| migration.version <= version) {
            let name = format!("{:04}_{}.sql", migration.version, migration.description.replace(' ', "_"));
            std::fs::write(migrations.join(name), migration.sql.as_str()).unwrap();
        }
        let options = SqliteConnectOptions::new().filename(state.join("ledger.sqlite")).create_if_missing(true);
        let mut ledger = options.journal_mode(SqliteJournalMode::Wal).connect().await.unwrap();
        let migrator = Migrator::new(migrations.as_path()).await.unwrap();
        migrator.run_direct(None, &mut ledger, false).await.unwrap();
        let heritage = Self { town, now };
        ledger.execute(sqlx::AssertSqlSafe(heritage.rows(version))).await.unwrap();
        ledger.close().await.unwrap();
        std::fs::set_permissions(state.join("ledger.sqlite"), std::fs::Permissions::from_mode(0o600)).unwrap();
        heritage
    }

    fn ago(&self, minutes: i64) -> String {
        stamp(self.now - SignedDuration::from_mins(minutes))
    }

    /// Where a document's copy lies.
    fn stem(&self, id: u64) -> String {
        format!("archive/fast/mairie/chorus/2026/01/02/{id}")
    }

    fn rows(&self, version: i64) -> String {
        let origin = self.town.platform.base_url();
        let (hour, recent, later) = (self.ago(60), self.ago(2), self.ago(-28));
        let mut sql = format!(
            "INSERT INTO installation VALUES (1, x'{}', '{hour}');
             INSERT INTO accounts (account, certificate_subject) VALUES ('fast/mairie', 'CN=mairie');
             INSERT INTO feeds (feed, account, origin, siren, kind, first_listed_at, last_listed_at, next_poll_at,
                                last_success_at, last_outcome, claimed_by)
                 VALUES ('fast/mairie/chorus', 'fast/mairie', '{origin}', '{SIREN}', 'chorus', '{hour}', '{hour}', '{hour}',
                         '{hour}', 'ok', '1-dead/7'),
                        ('fast/mairie/pes-retour', 'fast/mairie', '{origin}', '{SIREN}', 'pes-retour', '{recent}', '{recent}',
                         '{later}', '{recent}', 'ok', NULL);
             INSERT INTO polls (id, feed, run, started_at) VALUES (1, 'fast/mairie/chorus', '1-dead', '{hour}');
             INSERT INTO operator_actions (at, actor, command, detail) VALUES ('{hour}', 'root', 'retry', '{{}}');
             INSERT INTO requests (at, actor, command, arguments, state) VALUES ('{hour}', 'root', 'poll', '{{}}', 'pending');",
            "07".repeat(32)
        );
        for (id, state) in STATES {
            let held = matches!(state, "stored" | "delivered");
            let claimed = if state == "fetching" { "'1-dead'" } else { "NULL" };
            let stem = self.stem(id);
            let copy = if held { self.keep(id) } else { "NULL, NULL, NULL, NULL, NULL".to_owned() };
            let asked = if ["listed", "skipped"].contains(&state) { "NULL".to_owned() } else { format!("'{hour}'") };
            sql += &format!(
                "INSERT INTO documents (id, feed, remote_id, state, attempts, listed_at, requested_at, stem, next_try_at,
                                        claimed_by, stored_at, size, sha256, media_type, archive_path)
                 VALUES ({id}, 'fast/mairie/chorus', '{id}', '{state}', 1, '{hour}', {asked}, '{stem}', '{hour}', {claimed},
                         {copy});"
            );
        }
        sql += &format!(
            "INSERT INTO deliveries (feed, remote_id, target, state, delivered_at, created_at, next_try_at) VALUES
                ('fast/mairie/chorus', '3', 'inbox', 'pending', NULL, '{hour}', '{hour}'),
                ('fast/mairie/chorus', '4', 'inbox', 'delivered', '{hour}', '{hour}', '{hour}'),
                ('fast/mairie/chorus', '11', 'inbox', 'failed', NULL, '{hour}', '{hour}');"
        );
        if version >= 2 {
            sql += &format!(
                "INSERT INTO tokens (account, identity, access_token, expires_at, asked_at, life_ms)
                 VALUES ('douane/siege', 'i', '{TOKEN}', '{later}', '{hour}', 300000);"
            );
        }
        if version >= 3 {
            sql += &format!(
                "INSERT INTO calls (at, account, path, context, recipient, object, status)
                     VALUES ('{hour}', 'entreprise/marches', '/v3/x', 'c', 'r', 'o', 200);
                 INSERT INTO quotas VALUES ('ip', 1000, NULL, 0, 0, NULL, 0, 0, '{hour}');
                 INSERT INTO bans VALUES ('https://entreprise.api.gouv.fr', NULL, NULL, '', NULL);"
            );
        }
        if version >= 4 {
            sql += "INSERT INTO feeds (feed, account, origin, siren, kind, next_poll_at)
                        VALUES ('douane/siege/suivi', 'douane/siege', 'douane', 'siege', 'suivi', '2026-01-01T00:00:00.000Z');
                    INSERT INTO subjects (feed, subject, status, etag) VALUES ('douane/siege/suivi', 'suivi', 200, '\"v1\"');";
        }
        sql
    }

    /// Puts a copy into the archive; answers its columns.
    fn keep(&self, id: u64) -> String {
        let (path, bytes) = (format!("{}.xml", self.stem(id)), document(id));
        let file = self.town.state().join(&path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, &bytes).unwrap();
        let sha256: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("'{}', {}, '{sha256}', 'application/xml', '{path}'", self.ago(59), bytes.len())
    }
}

/// A document in every state, by its number; 11 is stored, and its delivery failed.
const STATES: [(u64, &str); 11] = [
    (1, "listed"),
    (2, "fetching"),
    (3, "stored"),
    (4, "delivered"),
    (5, "skipped"),
    (6, "failed"),
    (7, "abandoned"),
    (8, "gone"),
    (9, "lost"),
    (10, "dismissed"),
    (11, "stored"),
];
/// Those that come: what was listed, interrupted or failed, and one that is new.
const OPEN: [u64; 4] = [1, 2, 6, 12];

fn document(id: u64) -> Vec<u8> {
    sample(Kind::Chorus, id, 900)
}

fn holds(file: &Path, words: &str) -> bool {
    std::fs::read(file).unwrap().windows(words.len()).any(|window| window == words.as_bytes())
}

#[tokio::test]
async fn a_ledger_of_every_released_schema_migrates_and_keeps_its_promises() {
    let earlier = earlier();
    assert!(earlier.starts_with(&[1, 2, 3, 4]), "{earlier:?}");
    for version in earlier {
        let heritage = Heritage::of(version).await;
        let town = &heritage.town;
        town.platform.adjust(|it| it.keep_listing = true);
        for id in 1..=12 {
            town.platform.put(SIREN, Kind::Chorus, id, document(id));
        }
        town.platform.put(SIREN, Kind::PesRetour, 100, sample(Kind::PesRetour, 100, 900));
        let daemon = town.start().await;
        for id in OPEN.into_iter().chain([3, 4, 11]) {
            let state = format!("SELECT state FROM documents WHERE remote_id = '{id}'");
            town.wait_value(&state, "delivered").await;
        }
        town.wait_value("SELECT count(*) FROM requests WHERE state = 'pending'", "0").await;
        for (id, state) in STATES.into_iter().filter(|(id, _)| (5..=10).contains(id) && *id != 6) {
            assert_eq!(town.about(id, "state").await, state, "schema {version}, document {id}");
        }
        let inbox: Vec<PathBuf> = [1, 11, 12, 2, 3, 6].map(|id| format!("fast/mairie/chorus/{id}.xml").into()).into();
        assert_eq!(town.inbox_files(), inbox, "schema {version}: 4 was delivered, and is not again");
        for path in inbox {
            let id = path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
            assert_eq!(std::fs::read(town.inbox().join(&path)).unwrap(), document(id));
        }
        for id in 1..=12 {
            let times = usize::from(OPEN.contains(&id));
            assert_eq!(town.platform.downloads_of(id), times, "schema {version}, document {id}");
        }
        // F1: one of the feeds was listed two minutes ago.
        let listed: Vec<_> =
            town.platform.requests().into_iter().filter(|it| it.call == Some(Call::List)).map(|it| it.path).collect();
        assert!(listed.len() == 1 && listed[0].contains("/chorus/"), "schema {version}: {listed:?}");
        let (seed, action) =
            (town.value("SELECT hex(seed) FROM installation").await, "SELECT count(*) FROM operator_actions");
        assert_eq!(seed, "07".repeat(32), "the schedule stays its own");
        assert!(town.value(action).await.parse::<u32>().unwrap() >= 1);

        let copy = town.state().join(format!("ledger.sqlite.before-{}", version + 1));
        assert_eq!(copy.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!holds(&copy, TOKEN), "schema {version}");
        let opened = town.folder.path().join("copy");
        std::fs::create_dir(&opened).unwrap();
        std::fs::copy(&copy, opened.join("ledger.sqlite")).unwrap();
        let states = query_at(&opened, "SELECT remote_id, state FROM documents ORDER BY id").await;
        let as_before: Vec<Vec<String>> =
            STATES.iter().map(|(id, state)| vec![id.to_string(), (*state).to_owned()]).collect();
        assert_eq!(states, as_before, "schema {version}: the copy is the ledger as it was");
        if version >= 2 {
            assert_eq!(town.value("SELECT count(*) FROM tokens").await, "1");
        }
        assert!(daemon.stop().await.success());
        // Once more: nothing is left to be done, and no other copy made.
        let daemon = town.start().await;
        town.wait_value("SELECT count(*) FROM documents WHERE state = 'delivered'", "7").await;
        assert!(daemon.stop().await.success());
        assert_eq!(town.downloads(), OPEN.len());
        let copies = std::fs::read_dir(town.state())
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains(".before-"));
        assert_eq!(copies.count(), 1);
    }
}

#[tokio::test]
async fn a_command_that_only_reads_leaves_an_older_ledger_as_it_is_and_says_what_to_do() {
    let heritage = Heritage::of(3).await;
    let ledger = heritage.town.state().join("ledger.sqlite");
    let before = std::fs::read(&ledger).unwrap();
    for command in [&["status"][..], &["documents"]] {
        let said = heritage.town.say(command).await;
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.err.contains("remedy:"), "{said:?}");
    }
    assert!(std::fs::read(&ledger).unwrap() == before);
}

#[tokio::test]
async fn a_ledger_whose_migrations_are_not_ours_is_refused_and_left_as_it_is() {
    let heritage = Heritage::of(2).await;
    let town = &heritage.town;
    town.query("UPDATE _sqlx_migrations SET checksum = x'00' WHERE version = 1").await;
    let said = town.poll().await;
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("remedy:"), "{said:?}");
    assert_eq!(town.value("SELECT max(version) FROM _sqlx_migrations").await, "2");
    assert_eq!(town.platform.requests().len(), 0);
}
