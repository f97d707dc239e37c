//! What the fuzz targets have in common: input cut in pieces, a meter for memory, an input read as choices.

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

#[global_allocator]
static METER: Meter = Meter;
static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, counted.
struct Meter;

// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Meter {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(live, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Bytes of memory that `work` held at most, beyond what was held before.
pub fn memory<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = LIVE.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let value = work();
    (value, PEAK.load(Ordering::Relaxed).saturating_sub(before))
}

/// `bytes` in pieces of changing lengths from 1 to about `length`.
pub fn pieces(bytes: &[u8], length: u8) -> impl Iterator<Item = &[u8]> {
    let (mut rest, mut next) = (bytes, usize::from(length));
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        next = (next * 5 + 3) % (usize::from(length) + 2);
        let (piece, after) = rest.split_at((next + 1).min(rest.len()));
        rest = after;
        Some(piece)
    })
}

/// A reader that gives a few bytes at a time.
pub struct Halting<'a> {
    inner: io::Cursor<&'a [u8]>,
    most: usize,
}

impl<'a> Halting<'a> {
    /// `bytes`, at most `most` and one at a time.
    pub fn new(bytes: &'a [u8], most: u8) -> Self {
        Self { inner: io::Cursor::new(bytes), most: usize::from(most) + 1 }
    }
}

impl Read for Halting<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = self.most.min(buffer.len());
        self.inner.read(&mut buffer[..most])
    }
}

impl Seek for Halting<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

/// An input read as a row of choices; where it has ended, every further choice is the first.
pub struct Choices<'a>(pub &'a [u8]);

impl Choices<'_> {
    /// Whether nothing is left.
    pub fn ended(&self) -> bool {
        self.0.is_empty()
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// A number below `many`, of two bytes where one is not enough.
    pub fn below(&mut self, many: usize) -> usize {
        let number =
            if many > 256 { usize::from(self.byte()) << 8 | usize::from(self.byte()) } else { self.byte().into() };
        number % many.max(1)
    }

    /// Eight bytes as a number.
    pub fn number(&mut self) -> i64 {
        i64::from_le_bytes(std::array::from_fn(|_| self.byte()))
    }

    /// One of `all`.
    pub fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

/// Whether `text` can stand on a line of a log or a terminal.
pub fn is_line(text: &str) -> bool {
    !text.contains(char::is_control)
}

/// A new folder of this process, in memory where the machine has a place for that.
pub fn folder(name: &str) -> PathBuf {
    let shared = Path::new("/dev/shm");
    let base = if shared.is_dir() { shared.to_owned() } else { std::env::temp_dir() };
    let base = std::env::var_os("FUZZ_SCRATCH").map_or(base, PathBuf::from);
    let folder = base.join(format!("vaguemestre-{name}-{}", std::process::id()));
    drop(std::fs::remove_dir_all(&folder));
    std::fs::create_dir_all(&folder).expect("a folder to work in");
    folder
}
