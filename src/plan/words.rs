//! Numbers in sentences.

use std::fmt::Display;

/// `1 error`, `2 errors`, `0 replies`: a number and what it counts, in its plural where it is not one.
pub fn count<N: Copy + Display + PartialEq + From<u8>>(n: N, noun: &str) -> String {
    if n == N::from(1) { format!("{n} {noun}") } else { format!("{n} {}", plural(noun)) }
}

/// `request`, `requests`: the noun alone, as that number has it.
pub fn noun<N: Copy + PartialEq + From<u8>>(n: N, noun: &str) -> String {
    if n == N::from(1) { noun.to_owned() } else { plural(noun) }
}

fn plural(noun: &str) -> String {
    let end = match noun.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => return format!("{stem}ies"),
        _ if noun.ends_with(['s', 'x', 'h']) => "es",
        _ => "s",
    };
    format!("{noun}{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n18_one_is_not_plural() {
        let check = |n: u64, noun: &str, expected: &str| assert_eq!(count(n, noun), expected);
        check(0, "request", "0 requests");
        check(1, "request", "1 request");
        check(2, "request", "2 requests");
        check(1, "reply", "1 reply");
        check(2, "reply", "2 replies");
        check(2, "key", "2 keys");
        check(2, "address", "2 addresses");
        check(1, "FSU", "1 FSU");
        check(2, "FSU", "2 FSUs");
        assert_eq!((count(1_usize, "byte"), count(8_u32, "bit")), ("1 byte".into(), "8 bits".into()));
        assert_eq!((noun(1_u64, "reply"), noun(3_u64, "reply")), ("reply".into(), "replies".into()));
    }
}
