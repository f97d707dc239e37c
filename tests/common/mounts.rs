//! File systems of a test's own: small ones, and such that can be made read-only. They go with the test's process.

use std::path::Path;
use std::process::Command;

const ALONE: &str = "VAGUEMESTRE_TEST_OWN_MOUNTS";

/// Runs the test `name` once more, in a mount namespace of its own, and answers false; there it answers true. Says
/// `skipped:` and answers false where no such namespace can be made.
pub fn alone(name: &str) -> bool {
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let own = ["-m", "--propagation", "private"];
    let possible = Command::new("unshare").args(own).arg("true").output();
    if !possible.is_ok_and(|output| output.status.success()) {
        super::skip("no mount namespace can be made (it takes root)");
        return false;
    }
    let mut command = Command::new("unshare");
    command.args(own).env(ALONE, "1").arg(std::env::current_exe().unwrap()).args(["--exact", name, "--nocapture"]);
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    false
}

/// Mounts a file system in memory on the new folder `path`.
pub fn in_memory(path: &Path, options: &str) {
    std::fs::create_dir_all(path).unwrap();
    mount(&["-t", "tmpfs", "-o", &format!("mode=0750,{options}"), "tmpfs"], path);
}

/// Makes a folder a file system of its own, which [`read_only`] can close.
pub fn apart(path: &Path) {
    std::fs::create_dir_all(path).unwrap();
    mount(&["--bind", &path.display().to_string()], path);
}

pub fn read_only(path: &Path, yes: bool) {
    mount(&["-o", if yes { "remount,bind,ro" } else { "remount,bind,rw" }], path);
}

fn mount(arguments: &[&str], path: &Path) {
    let output = Command::new("mount").args(arguments).arg(path).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}
