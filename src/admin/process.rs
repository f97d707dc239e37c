//! What this process takes of its machine, as the kernel counts it, under the names that Prometheus' own libraries use.

use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::{SysconfVar, sysconf};

use super::sheet::Sheet;

/// What the kernel says of this process; nothing where there is no `/proc`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Usage {
    cpu_seconds: f64,
    resident_bytes: f64,
}

/// Adds what this process takes.
pub(super) fn write(sheet: &mut Sheet) {
    let usage = std::fs::read_to_string("/proc/self/stat").ok().and_then(|stat| read(&stat));
    let (cpu, resident) = usage.map(|usage| (usage.cpu_seconds, usage.resident_bytes)).unzip();
    sheet.counter("process_cpu_seconds", "Processor time used, by the daemon and its kernel", cpu);
    sheet.gauge("process_resident_memory_bytes", "Memory in use", resident);
    // One of them is the folder's own.
    let open = std::fs::read_dir("/proc/self/fd").ok().map(|open| float(open.count().saturating_sub(1)));
    sheet.gauge("process_open_fds", "Files and connections open", open);
    #[expect(clippy::cast_precision_loss, reason = "a limit this large is none")]
    let most = getrlimit(Resource::RLIMIT_NOFILE).ok().map(|(soft, _)| soft as f64);
    sheet.gauge("process_max_fds", "Files and connections that may be open", most);
}

/// Reads `/proc/self/stat` (proc_pid_stat(5)); the second field is in parentheses and may hold anything.
fn read(stat: &str) -> Option<Usage> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
    #[expect(clippy::cast_precision_loss, reason = "ticks of a second, bytes of a page")]
    let unit = |variable| sysconf(variable).ok().flatten().map(|unit| unit as f64);
    Some(Usage {
        cpu_seconds: (field(14)? + field(15)?) / unit(SysconfVar::CLK_TCK)?,
        resident_bytes: field(24)? * unit(SysconfVar::PAGE_SIZE)?,
    })
}

/// A count as Prometheus has it.
pub(super) fn float(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_may_have_any_name() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4 1 0 0 0 150 50 0 0 20 0 4 0 99 1000000 256 18446744073709551615 1";
        let usage = read(stat).unwrap();
        assert_eq!(usage.cpu_seconds, 200.0 / unit_of(SysconfVar::CLK_TCK));
        assert_eq!(usage.resident_bytes, 256.0 * unit_of(SysconfVar::PAGE_SIZE));
        assert_eq!(read("7 (a"), None);
    }

    fn unit_of(variable: SysconfVar) -> f64 {
        sysconf(variable).unwrap().unwrap() as f64
    }
}
