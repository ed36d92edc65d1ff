//! The screen of a run on a terminal: rate, latency, loss, vendors, and what they were before. `q` ends the run.

use crate::book::live::Look;
use crate::book::tally::CommandCounts;
use crate::numbers::{counted, thousands, time_of};
use crate::report::Second;
use crate::report::show::Show;
use crate::workload::options::{Options, Pace};
use fsu_plan::texts::Texts;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Cell, Paragraph, Row, Sparkline, Table};
use ratatui::{DefaultTerminal, Frame};
use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

/// Seconds that the curves reach back: as wide as a wide terminal.
const HISTORY_MAX: usize = 400;

/// The screen. The terminal is as it was when this ends.
pub struct Screen {
    terminal: Option<DefaultTerminal>,
    rates: Vec<u64>,
    latencies: Vec<u64>,
    before: Vec<CommandCounts>,
    say: Texts,
}

impl Screen {
    /// Takes the terminal over.
    pub fn new(say: Texts) -> io::Result<Self> {
        let terminal = ratatui::try_init()?;
        Ok(Self { terminal: Some(terminal), rates: Vec::new(), latencies: Vec::new(), before: Vec::new(), say })
    }

    /// Draws a second, from the top: what runs, figures, curves, vendors.
    fn draw(&self, frame: &mut Frame<'_>, options: &Options, second: &Second, look: &Look) {
        let say = self.say;
        let [head, figures, rate, latency, table] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(4),
            Constraint::Length(6),
            Constraint::Length(6),
            Constraint::Min(4),
        ])
        .areas(frame.area());
        frame.render_widget(heading(options, second, say), head);
        frame.render_widget(figures_of(second, look, say), figures);
        frame.render_widget(curve("replies/s", &self.rates, (rate, Color::Blue), say), rate);
        frame.render_widget(curve("p99, us", &self.latencies, (latency, Color::Yellow), say), latency);
        frame.render_widget(vendors(options, (&look.rows, &self.before), say), table);
    }

    /// Keeps a second for the curves.
    fn remember(&mut self, second: &Second) {
        for (history, value) in
            [(&mut self.rates, second.per_s()[1].round() as u64), (&mut self.latencies, second.p99_us as u64)]
        {
            if history.len() >= HISTORY_MAX {
                history.remove(0);
            }
            history.push(value);
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.end();
    }
}

impl Show for Screen {
    fn second(&mut self, options: &Options, second: &Second, look: &Look) {
        self.remember(second);
        if let Some(mut terminal) = self.terminal.take() {
            // A terminal that cannot be written to does not end the run.
            let _ = terminal.draw(|frame| self.draw(frame, options, second, look));
            self.terminal = Some(terminal);
        }
        self.before.clone_from(&look.rows);
    }

    fn end(&mut self) {
        if self.terminal.take().is_some() {
            ratatui::restore();
        }
    }

    fn wants_end(&mut self) -> bool {
        let mut wants = false;
        // In raw mode the terminal turns no key into a signal.
        while self.terminal.is_some() && event::poll(Duration::ZERO).unwrap_or(false) {
            if let Ok(Event::Key(key)) = event::read()
                && key.kind == KeyEventKind::Press
            {
                let control_c = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
                wants |= control_c || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc);
            }
        }
        wants
    }
}

fn heading(options: &Options, second: &Second, say: Texts) -> Line<'static> {
    let pace = match options.pace {
        Pace::Closed { window } => format!("closed loop, {window} under way"),
        Pace::Open { per_s, .. } => format!("open loop, {} requests/s", thousands(per_s.round() as u64)),
    };
    let all = options.warmup + options.send_for;
    let fsus = counted(options.targets.len() as u64, "FSU");
    let what = format!("{fsus} over {}, {pace}", options.transport.name());
    let time = format!("{:.0} of {:.0} s", second.at_s, all.as_secs_f64());
    let text = format!(" {}   {}   ", say.say(&what), say.say(&time));
    Line::from(vec![Span::from("flood").bold(), Span::from(text), Span::from(said("q ends", say)).dim()])
}

/// A text of its own in that language.
fn said(text: &str, say: Texts) -> String {
    say.say(text).into_owned()
}

fn figures_of(second: &Second, look: &Look, say: Texts) -> Paragraph<'static> {
    let total = look.rows.iter().fold(CommandCounts::default(), |mut total, row| {
        total.add(row);
        total
    });
    let bad = |name: &str, count: u64| {
        let style = if count > 0 { Style::new().fg(Color::Red).bold() } else { Style::new().dim() };
        Span::styled(format!("{} {}   ", say.say(name), thousands(count)), style)
    };
    let [all, right, heartbeats] = [total.requests.sent, total.requests.good, look.other.heartbeats].map(thousands);
    let all = format!("all: {all} sent, {right} right   heartbeats {heartbeats}");
    let [sent, replies] = second.per_s().map(|rate| thousands(rate.round() as u64));
    let measured = u64::from(second.max_us > 0.0);
    let [p50, p99, max] = [second.p50_us, second.p99_us, second.max_us].map(|us| time_of(measured, us));
    Paragraph::new(vec![
        Line::from(said(&format!("sent {sent}/s   replies {replies}/s   p50 {p50}   p99 {p99}   max {max}"), say)),
        Line::from(vec![
            bad("lost", total.requests.lost),
            bad("wrong", total.requests.wrong),
            bad("late", total.requests.late),
            bad("duplicate", look.other.duplicate),
            bad("unexpected", look.other.unexpected),
            bad("not sent", look.other.not_sent),
        ]),
        Line::from(said(&all, say)).dim(),
    ])
}

fn curve<'a>(title: &str, values: &'a [u64], (area, color): (Rect, Color), say: Texts) -> Sparkline<'a> {
    let last = &values[values.len().saturating_sub(usize::from(area.width))..];
    let most = thousands(last.iter().copied().max().unwrap_or(0));
    let block = Block::new().title(said(&format!("{title} (most {most})"), say));
    Sparkline::default().block(block).data(last).style(Style::new().fg(color))
}

fn vendors(options: &Options, (rows, before): (&[CommandCounts], &[CommandCounts]), say: Texts) -> Table<'static> {
    let mut sums: BTreeMap<&str, (CommandCounts, u64)> = BTreeMap::new();
    for (number, (label, row)) in options.labels.iter().zip(rows).enumerate() {
        let (sum, new) = sums.entry(&label.vendor).or_default();
        sum.add(row);
        *new += row.requests.replies() - before.get(number).map_or(0, |before| before.requests.replies());
    }
    let cell = |text: String| Cell::from(Line::from(text).right_aligned());
    let rows = sums.into_iter().map(|(vendor, (sum, new))| {
        let row = Row::new([
            Cell::from(vendor.to_owned()),
            cell(thousands(new)),
            cell(thousands(sum.requests.sent)),
            cell(thousands(sum.requests.late)),
            cell(thousands(sum.requests.wrong)),
            cell(thousands(sum.requests.lost)),
        ]);
        if sum.requests.wrong + sum.requests.lost > 0 { row.style(Style::new().fg(Color::Red)) } else { row }
    });
    let names = ["replies/s", "sent", "late", "wrong", "lost"].map(|name| cell(said(name, say)));
    let head = Row::new(std::iter::once(Cell::from(said("vendor", say))).chain(names));
    let widths = [Constraint::Min(12)].into_iter().chain([Constraint::Length(12); 5]);
    Table::new(rows, widths).header(head.style(Style::new().add_modifier(Modifier::DIM)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::live::Live;
    use crate::fixtures;
    use crate::workload::profile::Label;
    use fsu_plan::model::fleet::Language;
    use fsu_plan::model::message::Transport;
    use fsu_plan::texts::{chinese, width};
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use std::collections::BTreeSet;

    /// The lines that a second draws on a terminal of 80 columns.
    fn drawn(language: Language) -> Vec<String> {
        let labels = ["示例厂家", "other"].map(|vendor| Label { vendor: vendor.into(), key: "01".into() });
        let options = Options { labels: labels.into(), ..fixtures::options(Transport::Udp) };
        let second = Second { at_s: 1.0, span_s: 1.0, sent: 1_200, replies: 1_180, p99_us: 850.0, ..Second::default() };
        let mut rows = vec![CommandCounts::default(); 2];
        (rows[0].requests.sent, rows[0].requests.good, rows[1].requests.sent) = (1_200, 1_180, 20);
        (rows[1].requests.lost, rows[1].requests.wrong) = (12, 3);
        let look = Look { rows, ..Live::new(1, 2, false).look() };
        let (rates, latencies, before) = (vec![1_180], vec![850], vec![CommandCounts::default(); 2]);
        let screen = Screen { terminal: None, rates, latencies, before, say: Texts::of(language) };
        let mut terminal = Terminal::new(TestBackend::new(80, 22)).expect("a terminal");
        terminal.draw(|frame| screen.draw(frame, &options, &second, &look)).expect("no input or output");
        let buffer = terminal.backend().buffer();
        let line = |y: u16| {
            let (mut line, mut x) = (String::new(), 0);
            while x < buffer.area.width {
                let symbol = buffer[(x, y)].symbol();
                line.push_str(symbol);
                // A wide character takes the next cell, too.
                x += width(symbol).max(1) as u16;
            }
            assert_eq!(width(&line), 80, "{line}");
            line.trim_end().to_owned()
        };
        (0..buffer.area.height).map(line).collect()
    }

    /// Where the columns of a line end.
    fn ends(line: &str) -> BTreeSet<usize> {
        let gap = |&(at, _): &(usize, &str)| !line[..at].ends_with(' ');
        line.match_indices("  ").filter(gap).map(|(at, _)| width(&line[..at])).chain([width(line)]).collect()
    }

    #[test]
    fn the_screen_in_both_languages() {
        let (english, chinese) = (drawn(Language::En), drawn(Language::Zh));
        assert_eq!(english[0], "flood 0 FSUs over udp, closed loop, 1 under way   1 of 1 s   q ends");
        assert_eq!(chinese[0], "flood 0 个 FSU，udp，闭环，1 个未应答请求   1 / 1 秒   q 结束");
        chinese::check(&chinese[1..].join("\n").replace("other", ""), None);
        let table = |lines: &[String]| lines[17..20].to_vec();
        let expected = [
            "厂家                  应答/s         发出         迟到         错误         丢失",
            "other                      3           20            0            3           12",
            "示例厂家               1,180        1,200            0            0            0",
        ];
        assert_eq!(table(&chinese), expected);
        // Heads end where the figures below them end.
        for lines in [english, chinese] {
            let [head, first, second] = &table(&lines)[..] else { panic!("{lines:?}") };
            let right = |line: &str| ends(line).into_iter().skip(1).collect::<Vec<_>>();
            assert_eq!((right(first), right(second)), (right(head), right(head)), "{head}\n{first}\n{second}");
        }
    }

    #[test]
    fn limit_history_max_the_oldest_second_goes() {
        let (rates, latencies, before) = (Vec::new(), Vec::new(), Vec::new());
        let mut screen = Screen { terminal: None, rates, latencies, before, say: Texts::ENGLISH };
        for second in 0..=400u32 {
            let kept = (screen.latencies.len(), screen.rates.len());
            assert_eq!(kept, (second as usize, second as usize));
            screen.remember(&Second { p99_us: second.into(), ..Second::default() });
        }
        assert_eq!((screen.latencies.len(), screen.rates.len()), (400, 400));
        assert_eq!((screen.latencies[0], screen.latencies[399]), (1, 400));
    }
}
