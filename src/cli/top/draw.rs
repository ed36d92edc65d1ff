//! The screen.

use super::fsu;
use super::state::{Listed, State};
use fsu_control::api::snapshot::Snapshot;
use fsu_plan::config::diag::printable;
use fsu_plan::texts::Texts;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Cell, Paragraph, Row, Sparkline, Table, TableState};

/// Columns from which both lists are beside each other.
const WIDE: u16 = 120;
/// Rows from which there is room for the curve of the rate.
const HIGH: u16 = 34;

/// A text in the language.
pub(super) fn said(text: &str, say: Texts) -> String {
    say.say(text).into_owned()
}

/// Draws all of it.
pub(super) fn draw(frame: &mut Frame<'_>, state: &State, say: Texts) {
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(3), Constraint::Length(1)]).areas(frame.area());
    frame.render_widget(heading(state, say), head);
    frame.render_widget(footer(state, say), foot);
    match &state.fsu {
        Some((name, detail)) => fsu::draw(frame, body, (name, detail.as_deref(), state.scrolled), say),
        None => whole(frame, body, state, say),
    }
}

fn heading(state: &State, say: Texts) -> Line<'static> {
    let config = state.run.config.as_deref().unwrap_or("embedded");
    let seconds = state.now.as_ref().map_or(0, |now| now.t_ms / 1_000);
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    let fsus = state.now.as_ref().map_or(state.run.fsus, |now| now.fsus);
    let text = format!("  {}  {fsus} FSUs  {hours}:{minutes:02}:{:02}  ", printable(config), seconds % 60);
    let verdict = match &state.now {
        Some(now) if now.is_valid => Span::from(said("valid", say)).green(),
        Some(_) => Span::from(said("not valid", say)).red().bold(),
        None => Span::from("…"),
    };
    Line::from(vec![Span::from("fsu-mock top").bold(), Span::from(text), verdict])
}

fn footer(state: &State, say: Texts) -> Line<'static> {
    if let Some(trouble) = &state.trouble {
        return Line::from(printable(trouble)).style(Style::new().fg(Color::Red));
    }
    if state.is_typing {
        return Line::from(format!("/{}▏", printable(&state.filter)));
    }
    let keys = if state.fsu.is_some() {
        "Esc back   Up Down scroll   q quit"
    } else {
        "/ filter   Tab busiest or noisiest   Enter one FSU   q quit"
    };
    Line::from(said(keys, say)).style(Style::new().dim())
}

fn whole(frame: &mut Frame<'_>, area: Rect, state: &State, say: Texts) {
    let Some(now) = &state.now else { return };
    let shards = (now.shards.len() as u16).clamp(1, 4) + 2;
    let curve = if area.height >= HIGH { 7 } else { 0 };
    let parts =
        [Constraint::Length(5), Constraint::Length(curve), Constraint::Length(shards.max(6)), Constraint::Min(4)];
    let [figures, curve, middle, lists] = Layout::vertical(parts).areas(area);
    frame.render_widget(figures_of(now, say), figures);
    if curve.height > 0 {
        let block = Block::new().borders(Borders::TOP).title(said("received/s", say));
        let inside = block.inner(curve);
        let from = state.rates.len().saturating_sub(usize::from(inside.width));
        let line = Sparkline::default().data(&state.rates[from..]).style(Style::new().fg(Color::Blue)).block(block);
        frame.render_widget(line, curve);
    }
    let [left, right] = Layout::horizontal([Constraint::Percentage(50), Constraint::Percentage(50)]).areas(middle);
    frame.render_widget(shards_of(now, say), left);
    frame.render_widget(reasons(now, say), right);
    lists_of(frame, lists, state, say);
}

/// `12,345`
fn number(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn figures_of(now: &Snapshot, say: Texts) -> Paragraph<'static> {
    let part = |name: &str, value: String, is_bad: bool| {
        let style = if is_bad { Style::new().fg(Color::Red).bold() } else { Style::new().bold() };
        [Span::from(format!(" {} ", said(name, say))).dim(), Span::styled(value, style), Span::from(" ")]
    };
    let line = |parts: Vec<[Span<'static>; 3]>| Line::from(parts.into_iter().flatten().collect::<Vec<_>>());
    let us = |us: u64| if us >= 10_000 { format!("{:.1} ms", us as f64 / 1_000.0) } else { format!("{us} us") };
    let (rates, late) = (&now.rates, &now.late_us);
    let mut lines = vec![
        line(vec![
            part("received/s", number(rates.received), false),
            part("answered/s", number(rates.answered), false),
            part("dropped/s", number(rates.dropped), rates.dropped > 0.0),
            part("faults/s", number(rates.faults), false),
        ]),
        line(vec![
            part("messages/s", number(rates.messages), false),
            part("acknowledged/s", number(rates.acknowledged), false),
            part("heartbeats/s", number(rates.heartbeats), false),
        ]),
        line(vec![
            part("late p50", us(late.p50), false),
            part("p90", us(late.p90), false),
            part("p99", us(late.p99), false),
            part("max", us(late.max), !now.is_valid),
        ]),
    ];
    if let Some(states) = &now.states {
        lines.push(line(vec![
            part("serving", states.serving.to_string(), false),
            part("idle", states.idle.to_string(), false),
            part("offline", states.offline.to_string(), states.offline > 0),
            part("faulty", states.faulty.to_string(), states.faulty > 0),
            part("dialling", states.dialling.to_string(), states.dialling > 0),
        ]));
    }
    let mut last = vec![
        part("centres", now.centres.unwrap_or(0).to_string(), false),
        part("connections", now.connections.unwrap_or(0).to_string(), false),
        part("pending", now.pending.to_string(), false),
    ];
    if let Some(log) = &now.log {
        last.push(part("log queue", format!("{:.0} %", log.queue_fill * 100.0), log.queue_fill > 0.5));
        last.push(part("lost", number(log.lost as f64), log.lost > 0));
    }
    lines.push(line(last));
    Paragraph::new(lines)
}

fn titled(title: &str, say: Texts) -> Block<'static> {
    Block::new().borders(Borders::TOP).title(format!(" {} ", said(title, say)))
}

fn header(names: &[&str], say: Texts) -> Row<'static> {
    let cells: Vec<Cell<'static>> = names.iter().map(|name| Cell::from(said(name, say))).collect();
    Row::new(cells).style(Style::new().dim())
}

fn shards_of(now: &Snapshot, say: Texts) -> Table<'static> {
    let rows = now.shards.iter().map(|shard| {
        let busy = shard.busy.map_or_else(|| "-".to_owned(), |busy| format!("{:.0} %", busy * 100.0));
        let cpu = shard.cpu.map(|cpu| cpu.to_string()).unwrap_or_default();
        let cells = [
            shard.shard.to_string(),
            cpu,
            number(shard.fsus as f64),
            number(shard.received_per_s),
            busy,
            shard.late_p99_us.to_string(),
        ];
        Row::new(cells)
    });
    let widths = [6, 4, 7, 9, 6, 7].map(Constraint::Length);
    let names = ["shard", "cpu", "FSUs", "req/s", "busy", "p99 us"];
    Table::new(rows, widths).header(header(&names, say)).block(titled("shards", say))
}

fn reasons(now: &Snapshot, say: Texts) -> Table<'static> {
    let mut all: Vec<(&String, &u64)> = now.reasons.iter().collect();
    all.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let rows = all.into_iter().map(|(reason, count)| Row::new([printable(reason), number(*count as f64)]));
    Table::new(rows, [Constraint::Min(20), Constraint::Length(14)]).block(titled("no reply because", say))
}

fn lists_of(frame: &mut Frame<'_>, area: Rect, state: &State, say: Texts) {
    if !state.filter.is_empty() {
        return filtered(frame, area, state, say);
    }
    let of = |listed| state.listed == listed;
    if area.width < WIDE {
        let listed = state.listed;
        return ranked(frame, area, (state, listed, true), say);
    }
    let [left, right] = Layout::horizontal([Constraint::Percentage(50), Constraint::Percentage(50)]).areas(area);
    ranked(frame, left, (state, Listed::Busiest, of(Listed::Busiest)), say);
    ranked(frame, right, (state, Listed::Noisiest, of(Listed::Noisiest)), say);
}

fn chosen(state: &State, is_chosen: bool) -> TableState {
    TableState::default().with_selected(is_chosen.then_some(state.chosen))
}

fn ranked(frame: &mut Frame<'_>, area: Rect, (state, listed, is_chosen): (&State, Listed, bool), say: Texts) {
    let Some(now) = &state.now else { return };
    let (title, column, all): (_, _, Vec<(&str, f64)>) = match listed {
        Listed::Busiest => ("busiest", "received/s", now.busiest.iter().map(|one| (&*one.name, one.per_s)).collect()),
        Listed::Noisiest => {
            ("noisiest", "dropped/s", now.noisiest.iter().map(|one| (&*one.name, one.dropped_per_s)).collect())
        }
    };
    let rows = all.into_iter().map(|(name, rate)| Row::new([printable(name), number(rate)]));
    let table = Table::new(rows, [Constraint::Min(20), Constraint::Length(12)])
        .header(header(&["name", column], say))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED))
        .block(titled(title, say));
    frame.render_stateful_widget(table, area, &mut chosen(state, is_chosen));
}

fn filtered(frame: &mut Frame<'_>, area: Rect, state: &State, say: Texts) {
    let matching = state.list.as_ref().map_or(0, |list| list.matching);
    let rows = state.list.iter().flat_map(|list| &list.fsus).map(|fsu| {
        let counts = [fsu.received, fsu.answered, fsu.dropped].map(|count| number(count as f64));
        let address = fsu.address.clone().or_else(|| fsu.connect.clone()).unwrap_or_default();
        [printable(&fsu.name), fsu.state.name().to_owned(), address].into_iter().chain(counts).collect::<Row<'_>>()
    });
    let widths = [
        Constraint::Min(16),
        Constraint::Length(9),
        Constraint::Length(21),
        Constraint::Length(11),
        Constraint::Length(11),
        Constraint::Length(9),
    ];
    let names = ["name", "state", "address", "received", "answered", "dropped"];
    let title = format!(" /{}  {matching} ", printable(&state.filter));
    let table = Table::new(rows, widths)
        .header(header(&names, say))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED))
        .block(Block::new().borders(Borders::TOP).title(title));
    frame.render_stateful_widget(table, area, &mut chosen(state, true));
}
