//! The amplification factor: the size of all replies relative to the datagram, and what of it another host would receive.

use super::model::Amplification;
use fsu_plan::model::fleet::AMPLIFICATION_MAX;
use fsu_plan::wire::reason::Reason;
use fsu_plan::words::count;

/// The factor for a datagram of `request_bytes` and replies of these sizes, in the order of sending. `None` without a reply. `refused`:
/// another host gets a refusal instead, unless `allowed`.
pub(super) fn of(request_bytes: usize, sizes: &[usize], allowed: bool, refused: bool) -> Option<Amplification> {
    let is_refused = refused && !allowed;
    if sizes.is_empty() {
        return None;
    }
    let reply_bytes: usize = sizes.iter().sum();
    let factor = reply_bytes as f64 / request_bytes.max(1) as f64;
    let mut room = if allowed { usize::MAX } else { request_bytes.saturating_mul(AMPLIFICATION_MAX) };
    let mut goes = |size: usize| match room.checked_sub(size) {
        Some(left) => {
            room = left;
            true
        }
        None => false,
    };
    let to_another_host: Vec<usize> =
        (1..).zip(sizes).filter(|&(_, &size)| !is_refused && goes(size)).map(|(number, _)| number).collect();
    let asked = count(request_bytes, "byte");
    let many = sizes.len();
    let what = if many == 1 { "1 reply".to_owned() } else { format!("{many} replies") };
    let times = format!("past {AMPLIFICATION_MAX} times");
    let past = format!("{times} (counted as {})", Reason::Amplification.reason());
    let sent = to_another_host.len();
    let goes = match (sent, many) {
        _ if is_refused => {
            format!("; another host is refused (counted as transfers_refused_amplification): its data would be {times}")
        }
        _ if reply_bytes <= request_bytes.saturating_mul(AMPLIFICATION_MAX) => String::new(),
        _ if allowed => "; another host gets all of it, too (allow_amplification)".to_owned(),
        (0, 1) => format!("; another host does not get it: {past}"),
        (0, _) => format!("; another host gets none of them: each is {past}"),
        _ => {
            let which = if to_another_host.iter().copied().eq(1..=sent) { " (the first)" } else { "" };
            format!("; another host gets {sent} of them{which}, not the other {}: {past}", many - sent)
        }
    };
    let text = format!("{what} of {} to {asked}, {factor:.1} times{goes}", count(reply_bytes, "byte"));
    Some(Amplification { request_bytes, reply_bytes, factor, to_another_host, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n16_replies_to_one_request_share_what_it_may_set_off() {
        let check = |request: usize, sizes: &[usize], allowed: bool, sent: &[usize], text: &str| {
            let found = of(request, sizes, allowed, false).expect("replies");
            assert_eq!((&*found.to_another_host, &*found.text), (sent, text));
        };
        check(44, &[45], false, &[1], "1 reply of 45 bytes to 44 bytes, 1.0 times");
        check(10, &[10, 10, 10], false, &[1, 2, 3], "3 replies of 30 bytes to 10 bytes, 3.0 times");
        check(
            10,
            &[31],
            false,
            &[],
            "1 reply of 31 bytes to 10 bytes, 3.1 times; another host does not get it: past 3 times (counted as \
             amplification)",
        );
        check(
            10,
            &[20, 11, 10],
            false,
            &[1, 3],
            "3 replies of 41 bytes to 10 bytes, 4.1 times; another host gets 2 of them, not the other 1: past 3 times \
             (counted as amplification)",
        );
        check(
            10,
            &[31],
            true,
            &[1],
            "1 reply of 31 bytes to 10 bytes, 3.1 times; another host gets all of it, too (allow_amplification)",
        );
        assert!(of(10, &[], false, false).is_none());
    }

    #[test]
    fn h17_a_command_that_another_host_is_refused() {
        let refused = "2 replies of 1056 bytes to 16 bytes, 66.0 times; another host is refused (counted as \
                       transfers_refused_amplification): its data would be past 3 times";
        let allowed = "2 replies of 1056 bytes to 16 bytes, 66.0 times; another host gets all of it, too \
                       (allow_amplification)";
        for (is_allowed, sent, text) in [(false, &[][..], refused), (true, &[1, 2], allowed)] {
            let found = of(16, &[16, 1_040], is_allowed, true).expect("replies");
            assert_eq!((&*found.to_another_host, &*found.text), (sent, text));
        }
    }
}
