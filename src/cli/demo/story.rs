//! What happens on the simulated platform, act by act.

use crate::feed::Kind;
use crate::simulator::samples::{self, Verdict};

/// Size of the documents, in bytes: what small ones have in life.
const SIZE: usize = 4000;

/// A document that comes to the platform, by its id.
pub(super) enum Post {
    /// Hélios's answer to a deposit.
    Acquittement(u64, Verdict),
    /// Payments, from the accounting officer.
    PesRetour(u64),
    /// Invoices, from Chorus Pro.
    Chorus(u64),
}

/// What goes wrong.
pub(super) enum Trouble {
    /// The first answer for this document is an HTML page with status 200.
    HtmlInstead(u64),
    /// The next listing of this kind is answered 503.
    Outage(Kind),
    /// The other platforms revoke all tokens early, and what they say changes.
    Shaken,
    /// Listings show documents that were collected already.
    ListsAgain,
}

/// A part of the story; it ends when all documents so far are in the inbox, and all feeds were listed well.
pub(super) struct Act {
    /// What happens, line by line.
    pub(super) told: &'static [&'static str],
    pub(super) troubles: &'static [Trouble],
    pub(super) posts: &'static [Post],
    /// Documents come to the accounts of the other interfaces.
    pub(super) elsewhere: bool,
}

/// The whole of it.
pub(super) const STORY: [Act; 3] = [
    Act {
        told: &[
            "Seven documents wait on the platform: three acquittements (one says that Helios refused",
            "the deposit), two PES-Retour, two flows of Chorus Pro. The platform is not well: its",
            "first answer for 4302 will be an HTML page, with status 200 as if it were the document.",
            "Four more wait for two other accounts: two over SOAP, two in the shared folders of WebDAV,",
            "an acquittement and a signed contract, which are removed there once they are safe here.",
            "The customs, PISTE and API Entreprise are asked as well, with tokens, within quotas.",
        ],
        troubles: &[Trouble::HtmlInstead(4302)],
        posts: &[
            Post::Acquittement(4101, Verdict::Accepted),
            Post::Acquittement(4102, Verdict::Refused),
            Post::Acquittement(4103, Verdict::Accepted),
            Post::PesRetour(4201),
            Post::PesRetour(4202),
            Post::Chorus(4301),
            Post::Chorus(4302),
        ],
        elsewhere: true,
    },
    Act {
        told: &[
            "Two more documents come, and the next listing of the PES-Retour will be answered 503.",
            "All tokens are revoked early; a declaration moves on, and a company takes another name.",
        ],
        troubles: &[Trouble::Outage(Kind::PesRetour), Trouble::Shaken],
        posts: &[Post::PesRetour(4203), Post::Chorus(4303)],
        elsewhere: false,
    },
    Act {
        told: &["A last document comes, and listings show again what was collected: nothing is fetched twice."],
        troubles: &[Trouble::ListsAgain],
        posts: &[Post::Acquittement(4104, Verdict::Accepted)],
        elsewhere: false,
    },
];

/// Documents without end, of each kind in turn.
pub(super) fn trickle() -> impl Iterator<Item = Post> {
    (5001..).map(|id| match id % 3 {
        0 => Post::Acquittement(id, Verdict::Accepted),
        1 => Post::PesRetour(id),
        _ => Post::Chorus(id),
    })
}

impl Post {
    pub(super) const fn kind(&self) -> Kind {
        match self {
            Self::Acquittement(..) => Kind::Acquittements,
            Self::PesRetour(_) => Kind::PesRetour,
            Self::Chorus(_) => Kind::Chorus,
        }
    }

    pub(super) const fn id(&self) -> u64 {
        match *self {
            Self::Acquittement(id, _) | Self::PesRetour(id) | Self::Chorus(id) => id,
        }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        match *self {
            Self::Acquittement(id, verdict) => samples::acquittement(id, &format!("PES_{id}.xml"), verdict, SIZE),
            Self::PesRetour(id) => samples::pes_retour(id, "21340017900018", SIZE),
            Self::Chorus(id) => samples::chorus(id, 2, SIZE),
        }
    }
}
