//! Requests whose replies have not been seen yet: a reply that does not carry its command's key is
//! read as the answer to one of them.
//!
//! A guess that could be wrong is not made: where open requests of one centre could have a reply of
//! that size by different commands, none is taken.

use std::net::SocketAddr;

/// Open requests remembered per FSU; the oldest goes for the next. 56 bytes each.
const ASKED_MAX: usize = 4;

/// A request not answered after this long is forgotten: its rule may be to leave it unanswered.
const ASKED_MS_MAX: i64 = 10_000;

/// The open requests of all FSUs.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// By FSU number, oldest first.
    by_fsu: Vec<Vec<Request>>,
}

/// Who talks with which device of which FSU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Talk {
    /// Number of the FSU.
    pub(super) fsu: u32,
    /// Place of the device among the FSU's.
    pub(super) device: usize,
    /// The centre.
    pub(super) peer: SocketAddr,
}

#[derive(Clone, Copy, Debug)]
struct Request {
    talk: Talk,
    command: u32,
    unix_ms: i64,
}

impl Asked {
    /// A request was seen.
    pub(super) fn note(&mut self, talk: Talk, command: usize, unix_ms: i64) {
        let index = talk.fsu as usize;
        if self.by_fsu.len() <= index {
            self.by_fsu.resize_with(index + 1, Vec::new);
        }
        let requests = &mut self.by_fsu[index];
        if requests.len() >= ASKED_MAX {
            requests.remove(0);
        }
        requests.push(Request { talk, command: command as u32, unix_ms });
    }

    /// A reply was seen that `fits` some commands: the one it answers, if only one can be meant.
    pub(super) fn answered(&mut self, talk: Talk, unix_ms: i64, fits: impl Fn(usize) -> bool) -> Option<usize> {
        let requests = self.by_fsu.get_mut(talk.fsu as usize)?;
        requests.retain(|request| unix_ms.saturating_sub(request.unix_ms) <= ASKED_MS_MAX);
        let fits = |request: &Request| request.talk == talk && fits(request.command as usize);
        let first = requests.iter().position(fits)?;
        let only =
            requests.iter().filter(|request| fits(request)).all(|other| other.command == requests[first].command);
        let command = requests.remove(first).command as usize;
        only.then_some(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn talk(fsu: u32, port: u16) -> Talk {
        Talk { fsu, device: 0, peer: ([127, 0, 0, 1], port).into() }
    }

    /// Commands asked at their times, then a reply at a time that fits the commands given.
    fn check(asked_at: &[(u32, u16, usize, i64)], reply: (u32, u16, i64), fits: &[usize], expected: Option<usize>) {
        let mut asked = Asked::default();
        for &(fsu, port, command, unix_ms) in asked_at {
            asked.note(talk(fsu, port), command, unix_ms);
        }
        let got = asked.answered(talk(reply.0, reply.1), reply.2, |command| fits.contains(&command));
        assert_eq!(got, expected, "{asked_at:?} {reply:?} {fits:?}");
    }

    #[test]
    fn only_what_can_be_meant() {
        check(&[], (0, 1, 0), &[1], None);
        check(&[(0, 1, 5, 0)], (0, 1, 0), &[1, 5], Some(5));
        check(&[(0, 1, 5, 0)], (0, 1, 0), &[1], None);
        check(&[(0, 1, 5, 0)], (0, 2, 0), &[5], None);
        check(&[(0, 1, 5, 0)], (1, 1, 0), &[5], None);
        check(&[(0, 1, 5, 0), (0, 1, 6, 0)], (0, 1, 0), &[5, 6], None);
        check(&[(0, 1, 5, 0), (0, 1, 6, 0)], (0, 1, 0), &[6], Some(6));
        check(&[(0, 1, 5, 0), (0, 2, 6, 0)], (0, 1, 0), &[5, 6], Some(5));
        check(&[(0, 1, 5, 0)], (0, 1, ASKED_MS_MAX), &[5], Some(5));
        check(&[(0, 1, 5, 0)], (0, 1, ASKED_MS_MAX + 1), &[5], None);
    }

    #[test]
    fn each_request_is_answered_once_and_few_are_remembered() {
        let mut asked = Asked::default();
        for command in 0..2 * ASKED_MAX {
            asked.note(talk(3, 1), command, 0);
        }
        assert_eq!(asked.by_fsu[3].len(), ASKED_MAX);
        assert_eq!(asked.answered(talk(3, 1), 0, |command| command == ASKED_MAX), Some(ASKED_MAX));
        assert_eq!(asked.answered(talk(3, 1), 0, |command| command == ASKED_MAX), None);
    }
}
