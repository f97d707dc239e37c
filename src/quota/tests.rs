//! The quotas against a model of the server: whatever the latencies, the clocks, the limits and the restarts, it never
//! counts more calls in one of its minutes than it allows.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use proptest::prelude::*;

use super::book::Book;
use super::bucket::{Facts, ours};
use super::server_time::{MINUTE, ServerTime, minute};
use super::{IP, Want};

/// Our clock at the start of each model: the machine has been up for a while.
const START: i64 = 5_000_000;
/// The wall clock then.
const WALL: i64 = 1_795_000_000_000;

#[derive(Clone, Debug)]
struct Model {
    /// The server's clock less our wall clock.
    skew: i64,
    /// Its limit in the n-th minute, over and over.
    limits: Vec<u32>,
    share: u8,
    /// Between leaving and being counted, and between that and the answer, over and over.
    latencies: Vec<(i64, i64)>,
    /// Every n-th answer says nothing about quotas; none where 0.
    silent: usize,
    /// We are killed and start again so long after the start of the model.
    restarts: Vec<i64>,
    workers: usize,
    calls: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A restart first, then answers, then arrivals.
    Restart,
    Answered(usize),
    Arrived(usize),
    Look,
}

#[derive(Clone, Debug, Default)]
struct Call {
    id: u64,
    run: usize,
    left: i64,
    facts: Facts,
    /// The server's minute it was counted in.
    of: Option<i64>,
    answered: bool,
}

/// Calls counted in a minute of the server.
#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    all: u32,
    /// Those that had left before it began.
    late: u32,
    /// Others that a run had under way when it was killed.
    orphans: u32,
}

#[derive(Debug, Default)]
struct Outcome {
    minutes: HashMap<i64, Counted>,
    refused: usize,
    answered: usize,
    /// When the last call was answered, from the start.
    took: i64,
}

impl Model {
    fn wants(&self) -> Vec<Want> {
        let json = Want { bucket: "marches/json".to_owned(), limit: self.limits[0], told: true };
        vec![Want { bucket: IP.to_owned(), limit: 1000, told: false }, json]
    }

    fn server(&self, now: i64) -> i64 {
        WALL + (now - START) + self.skew
    }

    fn limit(&self, minute: i64) -> u32 {
        let first = minute.rem_euclid(i64::try_from(self.limits.len()).unwrap());
        self.limits[usize::try_from(first).unwrap()]
    }

    /// How many calls, at most, are promised to be counted in a minute of the server: our share. A limit that falls is known
    /// once an answer has said so, and not before: those that were under way arrive all the same, then calls ask one by one
    /// until an answer speaks, which here the second does where the first is mute.
    fn allowed(&self, of: i64, counted: Counted) -> u32 {
        let (limit, before) = (self.limit(of), self.limit(of - 1));
        let ours = ours(limit, self.share);
        let asking = if self.silent == 0 { 1 } else { 2 };
        let untold = ours.max(counted.late + counted.orphans + asking);
        if self.limits.iter().all(|other| *other == limit) {
            ours
        } else if limit < before {
            untold.min(limit.max(counted.late + asking))
        } else {
            // Nobody may have been answered since it fell to this.
            untold.min(limit)
        }
    }

    /// A minute that had more calls than is promised.
    fn excess(&self, outcome: &Outcome) -> Option<String> {
        let over = |(&of, &counted): (&i64, &Counted)| {
            let (limit, allowed) = (self.limit(of), self.allowed(of, counted));
            (counted.all > allowed).then(|| format!("{counted:?} in a minute of {limit}, {allowed} allowed: {self:?}"))
        };
        outcome.minutes.iter().find_map(over)
    }

    fn run(&self) -> Outcome {
        let wants = self.wants();
        let mut book = Book::new(ServerTime::guess(WALL, START), self.share);
        // The machine's clock may be off by more than a guess: the first call goes alone and tells.
        let mut outcome = Outcome::default();
        let mut calls: Vec<Call> = Vec::new();
        let mut events = BinaryHeap::from([Reverse((START, Event::Look))]);
        events.extend(self.restarts.iter().map(|&after| Reverse((START + after, Event::Restart))));
        let (mut run, mut busy) = (0, 0);
        while let Some(Reverse((now, event))) = events.pop() {
            if outcome.answered >= self.calls || now > START + 3 * 3_600_000 {
                break;
            }
            match event {
                Event::Restart => {
                    run += 1;
                    busy = 0;
                    book = self.reborn(&book, &calls, now);
                }
                Event::Arrived(number) => {
                    self.count(&mut outcome, &mut calls[number], number, now);
                    let back = self.latencies[number % self.latencies.len()].1;
                    events.push(Reverse((now + back, Event::Answered(number))));
                    continue;
                }
                Event::Answered(number) => {
                    let call = &mut calls[number];
                    if call.facts.status == 200 {
                        outcome.answered += 1;
                        outcome.took = now - START;
                    }
                    // What left before a restart is heard, and recorded as answered, by nobody.
                    if call.run == run {
                        call.answered = true;
                        busy -= 1;
                        book.answer(call.id, &wants, &call.facts, call.left, now);
                    }
                }
                Event::Look => {}
            }
            while busy < self.workers {
                match book.reserve(&wants, now) {
                    Ok(id) => {
                        let number = calls.len();
                        calls.push(Call { id, run, left: now, ..Call::default() });
                        busy += 1;
                        events.push(Reverse((
                            now + self.latencies[number % self.latencies.len()].0,
                            Event::Arrived(number),
                        )));
                    }
                    Err(wait) => {
                        events.push(Reverse((now + wait.millis, Event::Look)));
                        break;
                    }
                }
            }
        }
        for call in calls.iter().filter(|call| call.run < run && !call.answered) {
            let counted = call.of.filter(|&of| self.began(call, of)).and_then(|of| outcome.minutes.get_mut(&of));
            counted.into_iter().for_each(|counted| counted.orphans += 1);
        }
        outcome
    }

    /// Whether `call` left after a minute of the server had begun.
    fn began(&self, call: &Call, minute: i64) -> bool {
        self.server(call.left) >= minute * MINUTE
    }

    /// What a new process knows: what the ledger remembered of the old one.
    fn reborn(&self, old: &Book, calls: &[Call], now: i64) -> Book {
        let wall = WALL + (now - START);
        let mut book = Book::new(ServerTime::remembered(old.time.skew(wall, now), wall, now), self.share);
        let told = old.buckets.iter().map(|(name, bucket)| (name.clone(), (bucket.limit, bucket.closed_until)));
        book.remembered = told.collect();
        if calls.iter().any(|call| now - call.left < 120_000) {
            book.leave_this_minute(now);
        }
        let unanswered = calls.iter().filter(|call| !call.answered && now - call.left < 120_000);
        book.ghosts = unanswered.map(|call| call.left).collect();
        book
    }

    fn count(&self, outcome: &mut Outcome, call: &mut Call, number: usize, now: i64) {
        let server = self.server(now);
        let of = minute(server);
        call.of = Some(of);
        let counted = outcome.minutes.entry(of).or_default();
        counted.all += 1;
        counted.late += u32::from(!self.began(call, of));
        let limit = self.limit(of);
        let refused = counted.all > limit;
        outcome.refused += usize::from(refused);
        let says = self.silent == 0 || !number.is_multiple_of(self.silent);
        call.facts = Facts {
            status: if refused { 429 } else { 200 },
            date: Some(server.div_euclid(1000)),
            limit: says.then_some(limit),
            remaining: says.then(|| limit.saturating_sub(counted.all)),
            reset: says.then_some((of + 1) * 60),
            retry_after: None,
        };
    }
}

fn model() -> impl Strategy<Value = Model> {
    let latency = prop_oneof![3 => 1_i64..300, 1 => 0_i64..4_000];
    (
        -90_000_i64..90_000,
        prop::collection::vec(5_u32..60, 1..4),
        20_u8..=100,
        prop::collection::vec((latency.clone(), latency), 1..7),
        0_usize..4,
        prop::collection::vec(0_i64..300_000, 0..4),
        1_usize..33,
    )
        .prop_map(|(skew, limits, share, latencies, silent, restarts, workers)| Model {
            skew,
            // What is never told can only be kept to where it never changes.
            limits: if silent == 1 { limits[..1].to_vec() } else { limits },
            share,
            latencies,
            silent,
            restarts,
            workers,
            calls: 150,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_minute_of_the_server_ever_has_more_calls_than_it_allows(model in model()) {
        prop_assert_eq!(model.excess(&model.run()), None);
    }

    #[test]
    fn all_calls_of_a_watch_are_done_within_a_minute_more_than_the_quota_takes(
        skew in -1_500_i64..1_500, limit in 20_u32..120, latency in 1_i64..500, n in 30_usize..400
    ) {
        let model = Model {
            skew, limits: vec![limit], share: 100, latencies: vec![(latency, latency)], silent: 0, restarts: Vec::new(),
            workers: 32, calls: n,
        };
        let outcome = model.run();
        prop_assert_eq!(outcome.refused, 0);
        prop_assert_eq!(outcome.answered, n);
        let minutes = i64::try_from(n).unwrap() * MINUTE / i64::from(limit);
        prop_assert!(outcome.took <= minutes + MINUTE, "{} ms for {n} at {limit}/min", outcome.took);
    }
}

/// Runs `model`: no minute has more calls than is promised.
fn assert_kept(model: &Model) {
    let outcome = model.run();
    assert!(outcome.answered >= model.calls, "{} of {} calls", outcome.answered, model.calls);
    assert_eq!(model.excess(&outcome), None);
}

#[test]
fn answers_without_headers_to_calls_under_way_at_the_turn_of_a_minute_do_not_let_others_go_together() {
    // Three of them came early in a minute whose limit had fallen, and were taken for a sign that no answer has headers: all
    // of the share of the larger limit left at once.
    let (limits, latencies) = (vec![5, 8], vec![(1849, 75), (203, 50)]);
    let (restarts, calls) = (Vec::new(), 150);
    assert_kept(&Model { skew: -44_000, limits, share: 75, latencies, silent: 2, restarts, workers: 3, calls });
    let (limits, latencies, restarts) = (vec![17, 5], vec![(3481, 240), (251, 36), (1, 1)], Vec::new());
    assert_kept(&Model { skew: 12_511, limits, share: 53, latencies, silent: 3, restarts, workers: 8, calls });
}

#[test]
fn a_call_that_a_killed_run_left_unanswered_counts_in_the_minute_that_answers_to_the_next_run_reveal() {
    // Our clock is twenty seconds behind: what seemed the next minute of the server is the one that call was counted in.
    let (limits, latencies, restarts) = (vec![5], vec![(165, 2610)], vec![2776, 1]);
    assert_kept(&Model { skew: 19_835, limits, share: 100, latencies, silent: 1, restarts, workers: 1, calls: 150 });
}

fn alone(limit: u32) -> (Book, Vec<Want>) {
    let wants = vec![Want { bucket: "a/json".to_owned(), limit, told: true }];
    (Book::new(ServerTime::guess(WALL, START), 100), wants)
}

fn said(status: u16, limit: u32, remaining: u32) -> Facts {
    let date = Some(WALL / 1000);
    let reset = Some((minute(WALL) + 1) * 60);
    Facts { status, date, limit: Some(limit), remaining: Some(remaining), reset, retry_after: None }
}

#[test]
fn the_first_call_goes_alone_until_its_headers_are_read() {
    let (mut book, wants) = alone(250);
    let first = book.reserve(&wants, START).unwrap();
    assert!(book.reserve(&wants, START + 10).is_err());
    book.answer(first, &wants, &said(200, 3, 2), START, START + 20);
    // The answer's limit is the one that counts: two more, and no third.
    book.reserve(&wants, START + 30).unwrap();
    book.reserve(&wants, START + 40).unwrap();
    assert!(book.reserve(&wants, START + 50).is_err());
}

#[test]
fn what_others_have_used_is_left_to_them() {
    let (mut book, wants) = alone(250);
    let first = book.reserve(&wants, START).unwrap();
    book.answer(first, &wants, &said(200, 250, 1), START, START + 20);
    book.reserve(&wants, START + 30).unwrap();
    assert!(book.reserve(&wants, START + 40).is_err());
}

#[test]
fn after_a_refusal_no_call_leaves_before_the_time_it_names() {
    let (mut book, wants) = alone(250);
    let first = book.reserve(&wants, START).unwrap();
    let wait = std::time::Duration::from_secs(150);
    let refusal = Facts { retry_after: Some(wait), reset: None, remaining: None, ..said(429, 250, 0) };
    book.answer(first, &wants, &refusal, START, START + 20);
    assert!(book.reserve(&wants, START + 149_000).unwrap_err().closed);
    assert!(book.reserve(&wants, START + 153_000).is_ok());
}

#[test]
fn a_retry_after_of_zero_counts_as_the_next_minute_and_absent_headers_are_not_zero() {
    let (mut book, wants) = alone(250);
    let first = book.reserve(&wants, START).unwrap();
    let silent = Facts { status: 200, date: Some(WALL / 1000), ..Facts::default() };
    book.answer(first, &wants, &silent, START, START + 20);
    let second = book.reserve(&wants, START + 30).unwrap();
    let refusal = Facts { status: 429, retry_after: Some(std::time::Duration::ZERO), ..silent };
    book.answer(second, &wants, &refusal, START + 30, START + 50);
    let wait = book.reserve(&wants, START + 60).unwrap_err();
    assert!(wait.closed && wait.millis <= MINUTE + 1_100, "{wait:?}");
}

#[test]
fn a_reset_that_can_be_none_changes_nothing() {
    for reset in [i64::MIN, -1, 0, WALL / 1000 + 86_400, i64::MAX] {
        let (mut book, wants) = alone(250);
        let first = book.reserve(&wants, START).unwrap();
        book.answer(first, &wants, &Facts { reset: Some(reset), ..said(200, 250, 249) }, START, START + 20);
        // The answer was heard: calls go together; and a limit told later counts.
        let second = book.reserve(&wants, START + 30).unwrap();
        let third = book.reserve(&wants, START + 40).unwrap();
        book.answer(second, &wants, &said(200, 3, 1), START + 30, START + 50);
        book.answer(third, &wants, &said(200, 3, 0), START + 40, START + 60);
        assert!(book.reserve(&wants, START + 70).is_err(), "{reset}");
        book.answer(third, &wants, &Facts { reset: Some(reset), ..said(429, 3, 0) }, START + 40, START + 60);
        let closed = book.reserve(&wants, START + 70).unwrap_err();
        assert!(closed.closed && closed.millis <= 86_400_000 + MINUTE, "{closed:?}");
    }
}

#[test]
fn a_bucket_full_for_one_call_takes_nothing_of_the_others() {
    let (mut book, json) = alone(250);
    let own = Want { bucket: "watch".to_owned(), limit: 1, told: false };
    let both = vec![json[0].clone(), own];
    let first = book.reserve(&both, START).unwrap();
    book.answer(first, &both, &said(200, 250, 249), START, START + 20);
    assert_eq!(book.reserve(&both, START + 30).unwrap_err().bucket, "watch");
    assert!(book.reserve(&json, START + 30).is_ok());
}
