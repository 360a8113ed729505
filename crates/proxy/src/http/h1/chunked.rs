//! The chunked transfer coding (RFC 9112, section 7.1), as a machine that is fed bytes.

use httparse::Status;

use super::parse::{MAX_FIELDS, Malformed};
use crate::http::head::Fields;

/// The longest line with a chunk's size and extensions, bytes.
const MAX_LINE: usize = 256;
/// The longest trailer section, bytes.
const MAX_TRAILERS: usize = 16 * 1024;

/// Where in the coding the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Chunked {
    /// A line with a size.
    #[default]
    Size,
    /// So many bytes of data.
    Data(u64),
    /// The line end after the data.
    DataEnd,
    /// Trailer fields, or the empty line.
    Trailers,
    /// Behind the end.
    End,
}

/// What the next bytes are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// `skip` bytes of framing, and then up to so many bytes of data, as far as they are there.
    Data { skip: usize, data: usize },
    /// So many bytes belong to the end; the body is over.
    End { skip: usize },
    /// `skip` bytes are used; more are needed.
    More { skip: usize },
}

impl Chunked {
    /// Looks at the bytes that wait. Data is not used up by this: [`Chunked::took`] says how much of it was taken.
    /// Trailers go into `trailers`.
    pub(crate) fn step(&mut self, bytes: &[u8], trailers: &mut Fields) -> Result<Step, Malformed> {
        let mut at = 0;
        loop {
            let rest = &bytes[at..];
            match *self {
                Chunked::Size => {
                    let Some((size, used)) = size_line(rest)? else {
                        return Ok(Step::More { skip: at });
                    };
                    at += used;
                    *self = if size == 0 { Chunked::Trailers } else { Chunked::Data(size) };
                }
                Chunked::Data(left) if rest.is_empty() => {
                    debug_assert!(left > 0);
                    return Ok(Step::More { skip: at });
                }
                Chunked::Data(left) => {
                    let data = rest.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    return Ok(Step::Data { skip: at, data });
                }
                Chunked::DataEnd => match rest {
                    [b'\r', b'\n', ..] => {
                        at += 2;
                        *self = Chunked::Size;
                    }
                    [] | [b'\r'] => return Ok(Step::More { skip: at }),
                    _ => return Err(Malformed::Syntax("a chunk is longer than its size")),
                },
                Chunked::Trailers => {
                    let Some(used) = trailer_section(rest, trailers)? else {
                        return Ok(Step::More { skip: at });
                    };
                    *self = Chunked::End;
                    return Ok(Step::End { skip: at + used });
                }
                Chunked::End => return Ok(Step::End { skip: at }),
            }
        }
    }

    /// So many bytes of the data were taken.
    pub(crate) fn took(&mut self, count: usize) {
        if let Chunked::Data(left) = self {
            *left = left.saturating_sub(count as u64);
            if *left == 0 {
                *self = Chunked::DataEnd;
            }
        }
    }
}

/// Reads `SIZE[;EXTENSIONS] CR LF`; `None` if the line is not whole yet.
fn size_line(bytes: &[u8]) -> Result<Option<(u64, usize)>, Malformed> {
    const WRONG: Malformed = Malformed::Syntax("a chunk's size is no hexadecimal number");
    let window = &bytes[..bytes.len().min(MAX_LINE)];
    let Some(end) = memchr::memchr(b'\n', window) else {
        return if bytes.len() >= MAX_LINE { Err(WRONG) } else { Ok(None) };
    };
    let line = window[..end].strip_suffix(b"\r").ok_or(WRONG)?;
    let digits = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
    // Sixteen digits would overflow with the next one; no body is that long.
    if digits == 0 || digits > 15 {
        return Err(WRONG);
    }
    match line[digits..].trim_ascii_start() {
        [] => {}
        [b';', extension @ ..] if !extension.contains(&b'\r') => {}
        _ => return Err(WRONG),
    }
    let size = line[..digits].iter().fold(0u64, |sum, digit| {
        sum * 16 + u64::from((*digit as char).to_digit(16).unwrap_or_default())
    });
    Ok(Some((size, end + 1)))
}

/// Reads trailer fields up to the empty line; `None` if it is not there yet.
fn trailer_section(bytes: &[u8], trailers: &mut Fields) -> Result<Option<usize>, Malformed> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    match httparse::parse_headers(bytes, &mut fields) {
        Ok(Status::Complete((size, parsed))) => {
            let pairs = parsed.iter().map(|field| (field.name.as_bytes(), field.value));
            trailers.load(&bytes[..size], pairs);
            trailers.keep_trailers();
            Ok(Some(size))
        }
        Ok(Status::Partial) if bytes.len() < MAX_TRAILERS => Ok(None),
        Ok(Status::Partial) | Err(httparse::Error::TooManyHeaders) => Err(Malformed::TooLarge),
        Err(_) => Err(Malformed::Syntax("a trailer field is not NAME: VALUE")),
    }
}

#[cfg(test)]
mod tests;
