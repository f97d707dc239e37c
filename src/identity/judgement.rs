//! What there is to say about a certificate that could be loaded.

use jiff::Timestamp;

use super::Identity;

/// With fewer days left than this, an operator is told: authorities take weeks to issue a new certificate.
pub const EXPIRING_DAYS: i64 = 60;

/// How much a judgement matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// The account cannot work with this certificate.
    Problem,
    /// It works; worth knowing.
    Note,
}

/// One thing to say about a certificate: what is the matter, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Whether the account can work.
    pub weight: Weight,
    /// The stable word for it, for the ledger, logs and metrics.
    pub kind: &'static str,
    /// What is the matter: a clause that says "the certificate …", without naming its file.
    pub message: String,
    /// What to do about it.
    pub remedy: &'static str,
}

impl Identity {
    /// Everything there is to say about this certificate at `now`, problems first; nothing if all is well.
    #[must_use]
    pub fn findings(&self, now: Timestamp) -> Vec<Judgement> {
        let all = [self.judge_dates(now), self.judge_use(), self.judge_end(now), self.judge_chain()];
        all.into_iter().flatten().collect()
    }

    /// Whole days until the certificate expires, counted down: 0 on its last day, negative afterwards.
    #[must_use]
    pub fn days_left(&self, now: Timestamp) -> i64 {
        const DAY_SECONDS: i64 = 86_400;
        (self.not_after.as_second() - now.as_second()).div_euclid(DAY_SECONDS)
    }

    fn is_expired(&self, now: Timestamp) -> bool {
        now > self.not_after
    }

    fn judge_dates(&self, now: Timestamp) -> Option<Judgement> {
        if self.is_expired(now) {
            return Some(Judgement {
                weight: Weight::Problem,
                kind: "certificate-expired",
                message: format!("the certificate expired on {}", readable_time(self.not_after)),
                remedy: "install its successor; if there is one, check the machine's clock (NTP)",
            });
        }
        (now < self.not_before).then(|| Judgement {
            weight: Weight::Problem,
            kind: "certificate-not-yet-valid",
            message: format!("the certificate is valid only from {}", readable_time(self.not_before)),
            remedy: "check the machine's clock (NTP), or keep the former certificate until then",
        })
    }

    fn judge_use(&self) -> Option<Judgement> {
        self.hindrance.as_ref().map(|hindrance| Judgement {
            weight: Weight::Problem,
            kind: "certificate-no-client-use",
            message: format!("the certificate may not authenticate a client: {hindrance}"),
            remedy: "use the certificate issued for client authentication (server or RGS authentication, not signature)",
        })
    }

    fn judge_end(&self, now: Timestamp) -> Option<Judgement> {
        let days = self.days_left(now);
        let left = match days {
            ..=0 => "less than a day".to_owned(),
            1 => "1 day".to_owned(),
            _ => format!("{days} days"),
        };
        (!self.is_expired(now) && days < EXPIRING_DAYS).then(|| Judgement {
            weight: Weight::Note,
            kind: "certificate-expiring",
            message: format!("the certificate expires in {left}, on {}", readable_time(self.not_after)),
            remedy: "ask its authority for a successor, and have the platform accept it before that day",
        })
    }

    fn judge_chain(&self) -> Option<Judgement> {
        (!self.chain_complete).then(|| Judgement {
            weight: Weight::Note,
            kind: "certificate-chain-incomplete",
            message: format!("the certificate comes without that of its issuer ({})", self.issuer),
            remedy: "if the platform refuses it, add the authority's intermediate certificates to the file",
        })
    }
}

fn readable_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}
