//! Why there is no token, told by what the caller does about it.

use jiff::Timestamp;

/// There is no token to be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The configuration holds no such account, or none that works by tokens.
    #[error("{0} is no account of this configuration that works by tokens")]
    Unknown(String),
    /// The account cannot work until its configuration or its secret is corrected; nothing was asked.
    #[error("account {account} cannot work: {problem}")]
    Unusable {
        /// The account.
        account: String,
        /// What is wrong.
        problem: String,
    },
    /// The platform refused the credentials; it is not asked again until they change or some time has passed.
    #[error("account {account}: {reason}")]
    Refused {
        /// The account.
        account: String,
        /// What it said.
        reason: String,
        /// What to do.
        remedy: String,
        /// When it may be asked again, if they do not change.
        until: Timestamp,
    },
    /// No token came, for a reason that may pass.
    #[error("account {account}: {reason}")]
    Failed {
        /// The account.
        account: String,
        /// What happened.
        reason: String,
        /// What to do.
        remedy: String,
        /// When it may be asked again.
        until: Timestamp,
    },
    /// The ledger fails: without it nobody could know that a token was asked for.
    #[error("account {account}: {reason}")]
    Ledger {
        /// The account.
        account: String,
        /// What is wrong.
        reason: String,
        /// What to do.
        remedy: String,
    },
    /// The process stops.
    #[error("account {0}: the daemon is stopping")]
    Stopping(String),
}

impl TokenError {
    /// One stable word.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Unknown(_) => "token_unknown",
            Self::Unusable { .. } => "token_unusable",
            Self::Refused { .. } => "token_refused",
            Self::Failed { .. } => "token_failed",
            Self::Ledger { .. } => "token_ledger",
            Self::Stopping(_) => "token_stopping",
        }
    }

    /// What the operator does about it.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::Unknown(_) => {
                "name it as in the configuration: douane/NAME or piste/NAME (`vaguemestre config` shows them)"
                    .to_owned()
            }
            Self::Unusable { .. } => "`vaguemestre check` says more".to_owned(),
            Self::Refused { remedy, until, .. } => {
                format!("{remedy}; nothing is asked until they change, or {} has come", paris(*until))
            }
            Self::Failed { remedy, until, .. } => format!("{remedy}; it is not asked again before {}", paris(*until)),
            Self::Ledger { remedy, .. } => remedy.clone(),
            Self::Stopping(_) => "give the command again when it has started".to_owned(),
        }
    }

    /// Whether waiting is all that is needed.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Self::Failed { .. } | Self::Ledger { .. } | Self::Stopping(_))
    }
}

fn paris(time: Timestamp) -> String {
    time.to_zoned(crate::schedule::paris().clone()).strftime("%Y-%m-%d %H:%M:%S (Paris)").to_string()
}
