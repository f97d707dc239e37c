//! Figures as people read them.

use std::time::Duration;

/// What was measured of one thing, round by round.
#[derive(Clone, Debug, Default)]
pub struct Series {
    values: Vec<f64>,
}

impl Series {
    /// Adds a round.
    pub fn push(&mut self, value: f64) {
        self.values.push(value);
    }

    /// The middle one.
    pub fn median(&self) -> f64 {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        match sorted.len() {
            0 => 0.0,
            odd if odd % 2 == 1 => sorted[odd / 2],
            even => f64::midpoint(sorted[even / 2 - 1], sorted[even / 2]),
        }
    }

    /// The least and the greatest.
    pub fn spread(&self) -> (f64, f64) {
        self.values.iter().fold((f64::INFINITY, 0.0), |(low, high), &value| (low.min(value), high.max(value)))
    }
}

/// One contender, over all rounds.
#[derive(Clone, Debug, Default)]
pub struct Contender {
    /// Whom.
    pub name: String,
    /// Seconds from start to end.
    pub wall: Series,
    /// Seconds of the processors.
    pub cpu: Series,
    /// The same of the server meanwhile.
    pub server: Series,
    /// Memory at its highest, in bytes.
    pub peak: Series,
}

impl Contender {
    /// One without a round yet.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Adds a round.
    pub fn push(&mut self, wall: Duration, cpu: Duration, server: Duration, peak: u64) {
        self.wall.push(wall.as_secs_f64());
        self.cpu.push(cpu.as_secs_f64());
        self.server.push(server.as_secs_f64());
        self.peak.push(bytes(peak));
        println!(
            "  {:<34} {:>8.2} s {:>8.2} s cpu {:>8.2} s server {:>8.1} MiB",
            self.name,
            wall.as_secs_f64(),
            cpu.as_secs_f64(),
            server.as_secs_f64(),
            mebibytes(bytes(peak))
        );
    }
}

#[expect(clippy::cast_precision_loss, reason = "memory is far below 2^52 bytes")]
pub fn bytes(bytes: u64) -> f64 {
    bytes as f64
}

/// Bytes as MiB.
pub fn mebibytes(bytes: f64) -> f64 {
    bytes / f64::from(1 << 20)
}

/// Prints the medians of all, `units` a run.
pub fn print(title: &str, contenders: &[&Contender], units: u32) {
    println!("\n{title}");
    println!(
        "  {:<34} {:>10} {:>19} {:>9} {:>10} {:>11} {:>9}",
        "median of all rounds", "seconds", "spread", "a second", "cpu s", "server s", "MiB"
    );
    for contender in contenders {
        let (low, high) = contender.wall.spread();
        println!(
            "  {:<34} {:>10.3} {:>19} {:>9.0} {:>10.3} {:>11.3} {:>9.1}",
            contender.name,
            contender.wall.median(),
            format!("{low:.3}–{high:.3}"),
            f64::from(units) / contender.wall.median(),
            contender.cpu.median(),
            contender.server.median(),
            mebibytes(contender.peak.median())
        );
    }
}

/// Prints a figure beside its budget: met where it is at most that.
pub fn at_most(what: &str, figure: f64, budget: f64, unit: &str) {
    verdict(what, &format!("{figure:.3} {unit}"), &format!("at most {budget} {unit}"), figure <= budget);
}

/// The same, met where it is at least that.
pub fn at_least(what: &str, figure: f64, budget: f64, unit: &str) {
    verdict(what, &format!("{figure:.3} {unit}"), &format!("at least {budget} {unit}"), figure >= budget);
}

fn verdict(what: &str, figure: &str, budget: &str, met: bool) {
    println!("  {what:<58} {figure:>16}   {budget}: {}", if met { "met" } else { "NOT MET" });
}

/// Prints a figure without a budget.
pub fn figure(what: &str, figure: f64, unit: &str) {
    println!("  {what:<58} {figure:>16.3} {unit}");
}
