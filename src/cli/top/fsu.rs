//! The screen of one FSU.

use super::draw::said;
use fsu_control::api::detail::{Device, FsuDetail};
use fsu_plan::config::diag::printable;
use fsu_plan::texts::Texts;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Paragraph};

/// Characters of an exchange's bytes that are shown: more does not help at a glance.
const HEX_CHARS: usize = 160;

/// Draws it: its name, what is known, and by how many lines it is scrolled.
pub(super) fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    (name, detail, scrolled): (&str, Option<&FsuDetail>, u16),
    say: Texts,
) {
    let block = Block::new().borders(Borders::TOP).title(format!(" {} ", printable(name)));
    let lines = detail.map_or_else(|| vec![Line::from("…")], |detail| lines(detail, say));
    let last = (lines.len() as u16).saturating_sub(area.height.saturating_sub(1));
    frame.render_widget(Paragraph::new(lines).block(block).scroll((scrolled.min(last), 0)), area);
}

fn lines(detail: &FsuDetail, say: Texts) -> Vec<Line<'static>> {
    let fsu = &detail.fsu;
    let fact = |name: &str, value: String| {
        [Span::from(format!(" {} ", said(name, say))).dim(), Span::from(value).bold(), Span::from(" ")]
    };
    let line = |facts: Vec<[Span<'static>; 3]>| Line::from(facts.into_iter().flatten().collect::<Vec<_>>());
    let states = [vec![fsu.state.name().to_owned()], fsu.states.clone()].concat().join(", ");
    let address = fsu.address.clone().or_else(|| fsu.connect.clone()).unwrap_or_default();
    let mut out = vec![
        line(vec![
            fact("state", printable(&states)),
            fact("address", address),
            fact("shard", fsu.shard.to_string()),
            fact("centres", fsu.centres.to_string()),
            fact("connections", fsu.connections.to_string()),
        ]),
        line(vec![
            fact("received", fsu.received.to_string()),
            fact("answered", fsu.answered.to_string()),
            fact("silent", fsu.silent.to_string()),
            fact("dropped", fsu.dropped.to_string()),
            fact("faults", fsu.faults.to_string()),
        ]),
    ];
    if let Some(armed) = &fsu.armed {
        out.push(Line::from(format!(" {} {armed}", said("armed faults", say))).style(Style::new().fg(Color::Red)));
    }
    out.extend(detail.devices.iter().flat_map(device));
    if !detail.exchanges.is_empty() {
        out.push(Line::from(""));
        out.push(Line::from(said("last exchanges, the newest first:", say)).style(Style::new().dim()));
    }
    for exchange in &detail.exchanges {
        let clock = exchange.time.get(11..23).unwrap_or(&exchange.time).to_owned();
        let style = if exchange.kind == "unanswered" { Style::new().fg(Color::Red) } else { Style::new() };
        out.push(Line::from(vec![
            Span::from(format!(" {clock} ")).dim(),
            Span::styled(format!("{:<12} ", exchange.kind), style.bold()),
            Span::from(printable(&exchange.text)),
        ]));
        out.push(Line::from(format!("   {}", exchange.hex.chars().take(HEX_CHARS).collect::<String>())).dim());
    }
    out
}

fn device(device: &Device) -> Vec<Line<'static>> {
    let address = device.address.as_ref().map(|address| format!(" {address}")).unwrap_or_default();
    let mut out = vec![Line::from(format!(" {} {}{address}", device.device, printable(&device.vendor))).bold()];
    let all = device.registers.iter().chain(&device.params);
    let facts: Vec<String> = all.map(|(name, value)| format!("{}={}", printable(name), printable(value))).collect();
    out.extend(facts.chunks(6).map(|some| Line::from(format!("   {}", some.join("  ")))));
    out
}
