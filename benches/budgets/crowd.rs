//! Many accounts, each with a certificate in a file of its own.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use vaguemestre::simulator::keys::Standing;

use crate::stage::Stage;

/// The feeds of each account.
pub const FEEDS: u32 = 3;

/// Tables of `count` accounts with three feeds each. Certificates are PEM, or PKCS#12 without a password.
pub fn accounts(stage: &Stage, count: u32, pkcs12: bool) -> anyhow::Result<String> {
    let folder = stage.fresh("certificates")?;
    // Opening one takes as long whoever is named in it, and making thousands takes minutes.
    let sealed = pkcs12.then(|| seal(stage)).transpose()?;
    let mut tables = String::new();
    for number in 0..count {
        let name = format!("commune-{number}");
        let certificate = match &sealed {
            Some(sealed) => {
                let file = folder.join(format!("{name}.p12"));
                std::fs::write(&file, sealed)?;
                private(&file)?;
                file
            }
            None => stage.keys.client(&name, Standing::Valid)?.write(&folder, &format!("{name}.pem"))?,
        };
        writeln!(
            tables,
            "[[fast.accounts]]\nname = \"{name}\"\nsiren = \"{}\"\ncertificate = \"{}\"\n\
             feeds = [\"acquittements\", \"pes-retour\", \"chorus\"]",
            siren(number),
            certificate.display()
        )?;
    }
    Ok(tables)
}

/// The certificate of the stage as PKCS#12.
fn seal(stage: &Stage) -> anyhow::Result<Vec<u8>> {
    let file = stage.path().join("client.p12");
    let mut command = Command::new("openssl");
    command.args(["pkcs12", "-export", "-passout", "pass:", "-in"]).arg(&stage.client).arg("-out").arg(&file);
    anyhow::ensure!(command.status()?.success(), "openssl makes no PKCS#12");
    Ok(std::fs::read(file)?)
}

fn private(file: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600))?)
}

/// A SIREN with a right check digit (Luhn).
fn siren(number: u32) -> String {
    let digits = 20_000_000 + number;
    let sum: u32 = (0..8)
        .map(|place| {
            let digit = digits / 10_u32.pow(place) % 10;
            // The check digit stands to the right of all, so that every other one is doubled from the last on.
            if place % 2 == 0 { digit * 2 / 10 + digit * 2 % 10 } else { digit }
        })
        .sum();
    format!("{digits}{}", (10 - sum % 10) % 10)
}
