//! What callgrind wrote: all instructions of a window, and how often a function that allocates was called.

use super::bounds::Price;

/// What allocates: the global allocator's functions (mimalloc; a growing `Vec` is the third), and the C library's for what
/// is not written in Rust.
const ALLOCATORS: [&str; 9] = [
    "mi_malloc_aligned",
    "mi_zalloc_aligned",
    "mi_realloc_aligned",
    "malloc",
    "calloc",
    "realloc",
    "posix_memalign",
    "aligned_alloc",
    "memalign",
];

/// A window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    /// Instructions of all threads.
    pub instructions: u64,
    /// Calls of functions that allocate.
    pub allocations: u64,
}

impl Profile {
    /// Reads a profile that was written with `--compress-strings=no`.
    ///
    /// # Errors
    /// What is wrong, for the operator.
    pub fn parse(text: &str) -> Result<Profile, String> {
        let (mut instructions, mut allocations) = (None, 0);
        let (mut is_counted, mut allocates) = (false, false);
        for line in text.lines() {
            if let Some(events) = line.strip_prefix("events:") {
                is_counted = events.split_ascii_whitespace().next() == Some("Ir");
            } else if let Some(name) = line.strip_prefix("cfn=") {
                if name.starts_with('(') {
                    return Err(format!("names are compressed in it: {line}"));
                }
                allocates = ALLOCATORS.contains(&without_depth(name));
            } else if let Some(calls) = line.strip_prefix("calls=") {
                if allocates {
                    allocations += number(calls, line)?;
                }
            } else if let Some(totals) = line.strip_prefix("totals:") {
                instructions = Some(number(totals, line)?);
            }
        }
        match instructions {
            Some(instructions) if is_counted => Ok(Profile { instructions, allocations }),
            Some(_) => Err("its first event is not `Ir`, instructions".to_owned()),
            None => Err("no line `totals:` is in it".to_owned()),
        }
    }

    /// The share of each of so many requests.
    pub fn price(self, requests: u32) -> Price {
        let each = |all: u64| all as f64 / f64::from(requests);
        Price { instructions: each(self.instructions), allocations: each(self.allocations) }
    }
}

fn number(text: &str, line: &str) -> Result<u64, String> {
    let first = text.split_ascii_whitespace().next();
    first.and_then(|it| it.parse().ok()).ok_or_else(|| format!("a number is expected: {line}"))
}

/// callgrind tells the levels of a recursion apart: the second one of `f` is `f'2`.
fn without_depth(name: &str) -> &str {
    match name.rsplit_once('\'') {
        Some((base, depth)) if depth.bytes().all(|it| it.is_ascii_digit()) => base,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# callgrind format
version: 1
creator: callgrind-3.19.0
pid: 5
cmd: meltemi proxy
part: 2

desc: Trigger: dump
positions: line
events: Ir
summary: 5000

ob=/x/meltemi
fl=???
fn=<meltemi_proxy::relay>::run
0 1200
cfn=mi_malloc_aligned
calls=3 0
0 90
cfn=mi_free
calls=7 0
0 70
cob=/lib/libc.so.6
cfi=???
cfn=malloc'2
calls=2 0
0 55

fn=mi_malloc_aligned
0 90
cfn=_mi_malloc_generic
calls=1 0
0 40

totals: 5000
";

    #[test]
    fn instructions_and_calls_of_allocators_are_counted() {
        let profile = Profile::parse(TEXT).unwrap();
        assert_eq!(profile, Profile { instructions: 5000, allocations: 5 });
        assert_eq!(profile.price(2), Price { instructions: 2500.0, allocations: 2.5 });
    }

    #[test]
    fn only_a_number_tells_a_level_of_recursion() {
        assert_eq!(without_depth("realloc'3"), "realloc");
        assert_eq!(without_depth("<T as X<'a>>::malloc"), "<T as X<'a>>::malloc");
    }

    #[test]
    fn what_is_no_such_profile_is_refused() {
        for (text, reason) in [
            (String::new(), "totals"),
            (TEXT.replace("events: Ir", "events: Dr"), "not `Ir`"),
            (TEXT.replace("cfn=mi_free", "cfn=(3) mi_free"), "compressed"),
            (TEXT.replace("calls=3 0", "calls=x 0"), "calls=x 0"),
            (TEXT.replace("totals: 5000", "totals:"), "number"),
        ] {
            let error = Profile::parse(&text).unwrap_err();
            assert!(error.contains(reason), "{reason:?} in {error}");
        }
    }
}
