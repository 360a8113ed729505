//! As little of HTTP/1.1 as load and backend need: where a message ends, and whether the connection does.

use memchr::memmem;

/// The end of a head.
const END: &[u8] = b"\r\n\r\n";

/// What is read of a message's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Its length, the empty line included.
    pub length: usize,
    /// The length of the body; nothing if no `content-length` says so.
    pub body: Option<usize>,
    /// Whether the connection ends behind the message.
    pub close: bool,
}

/// The head at the beginning of a buffer, if it is complete.
pub fn head(buffer: &[u8]) -> Option<Head> {
    let length = memmem::find(buffer, END)? + END.len();
    let mut head = Head { length, body: None, close: false };
    for line in buffer[..length].split(|byte| *byte == b'\n').skip(1) {
        // Most lines are told from the two that matter by their length and first letter.
        match line.first() {
            Some(b'c' | b'C') => {}
            _ => continue,
        }
        if let Some(value) = value(line, b"content-length") {
            head.body = std::str::from_utf8(value).ok().and_then(|it| it.parse().ok());
        } else if let Some(value) = value(line, b"connection") {
            head.close = value.eq_ignore_ascii_case(b"close");
        }
    }
    Some(head)
}

/// The status of a response.
pub fn status(head: &[u8]) -> Option<u16> {
    let text = head.strip_prefix(b"HTTP/1.1 ").or_else(|| head.strip_prefix(b"HTTP/1.0 "))?;
    std::str::from_utf8(text.get(..3)?).ok()?.parse().ok()
}

/// The value of a header that is looked for by its name in small letters.
pub fn find<'h>(head: &'h [u8], name: &[u8]) -> Option<&'h [u8]> {
    head.split(|byte| *byte == b'\n').skip(1).find_map(|line| value(line, name))
}

fn value<'h>(line: &'h [u8], name: &[u8]) -> Option<&'h [u8]> {
    let (found, rest) = line.split_at_checked(name.len())?;
    let rest = rest.strip_prefix(b":")?;
    found.eq_ignore_ascii_case(name).then(|| rest.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_when_it_is_complete() {
        let whole =
            b"HTTP/1.1 200 OK\r\nX-Other: 1\r\nContent-Length: 12\r\nconnection: close\r\n\r\nbody";
        assert_eq!(head(&whole[..whole.len() - 5]), None);
        let read = head(whole).unwrap();
        assert_eq!(read, Head { length: whole.len() - 4, body: Some(12), close: true });
        assert_eq!(status(whole), Some(200));
        assert_eq!(find(whole, b"x-other"), Some(&b"1"[..]));
        assert_eq!(find(whole, b"x-othe"), None);
    }

    #[test]
    fn what_is_not_said_is_not_assumed() {
        let read = head(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: keep-alive\r\n\r\n").unwrap();
        assert_eq!((read.body, read.close), (None, false));
        assert_eq!(head(b"GET / HTTP/1.1\r\ncontent-length: x\r\n\r\n").unwrap().body, None);
        assert_eq!(status(b"HTTP/2 200"), None);
        assert_eq!(status(b"HTTP/1.1 2"), None);
    }
}
