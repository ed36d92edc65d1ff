//! `top`: a running fleet on a terminal, live.
//!
//! - [`state`]: what is looked at, and what keys do. [`fetch`]: a thread that asks the control server.
//! - [`draw`]: the screen. [`fsu`]: the screen of one FSU.

mod draw;
mod fetch;
mod fsu;
mod state;

use super::ctl;
use super::ctl::args::ToControl;
use super::exit::{CliError, Exit};
use clap::Args;
use fsu_plan::texts::Texts;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use state::{State, Wish};
use std::time::Duration;

/// Between two looks at the keyboard.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Arguments of `top`.
#[derive(Debug, Args)]
pub struct TopArgs {
    /// Which control server.
    #[command(flatten)]
    pub to: ToControl,
}

/// Shows it until `q`.
///
/// # Errors
/// No control server at the start; a terminal that cannot be used.
pub fn top(args: &TopArgs, say: Texts) -> Result<Exit, CliError> {
    let client = ctl::client(&args.to)?;
    // Before the terminal is taken over, so that it can be said why not.
    let run = client.get("/v1/run")?;
    let terminal = ratatui::try_init();
    let mut terminal =
        terminal.map_err(|error| CliError::new(Exit::Usage, format!("top: the terminal cannot be used: {error}")))?;
    let mut state = State::new(run);
    let fetching = fetch::Fetching::start(client);
    let done = watch(&mut terminal, &mut state, &fetching, say);
    ratatui::restore();
    done.map(|()| Exit::Ok)
        .map_err(|error| CliError::new(Exit::Usage, format!("top: the terminal cannot be used: {error}")))
}

fn watch(
    terminal: &mut ratatui::DefaultTerminal,
    state: &mut State,
    fetching: &fetch::Fetching,
    say: Texts,
) -> std::io::Result<()> {
    fetching.look(state.looked_at());
    loop {
        while let Some(news) = fetching.news() {
            state.hear(news);
        }
        terminal.draw(|frame| draw::draw(frame, state, say))?;
        if !event::poll(LOOK_EVERY)? {
            continue;
        }
        if let Event::Key(key) = event::read()?
            && key.kind == KeyEventKind::Press
        {
            match state.press(key) {
                Wish::Nothing => {}
                Wish::Look => fetching.look(state.looked_at()),
                Wish::End => return Ok(()),
            }
        }
    }
}
