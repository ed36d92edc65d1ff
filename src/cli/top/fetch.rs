//! The thread that asks the control server, so that a slow answer does not stop the keyboard.

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use fsu_control::api::detail::FsuDetail;
use fsu_control::api::fsus::FsuPage;
use fsu_control::api::snapshot::Snapshot;
use fsu_control::client::{CallError, Client, escaped};
use std::time::{Duration, Instant};

/// Between two looks at the server.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// FSUs of a list.
const LIST: usize = 100;

/// What is looked at besides the whole.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct LookedAt {
    /// FSUs whose names have this in them, or match it.
    pub(super) filter: String,
    /// One FSU.
    pub(super) fsu: Option<String>,
}

/// What the server said.
pub(super) enum News {
    Snapshot(Box<Snapshot>),
    List(FsuPage),
    Fsu(Box<FsuDetail>),
    /// There is no such FSU any more, or no server.
    Failed(String),
}

/// The thread.
pub(super) struct Fetching {
    looks: Sender<LookedAt>,
    news: Receiver<News>,
}

impl Fetching {
    /// Starts it. It ends when this is dropped.
    pub(super) fn start(client: Client) -> Self {
        let (looks, wanted) = unbounded();
        let (sender, news) = bounded(16);
        std::thread::spawn(move || fetch(&client, &wanted, &sender));
        Self { looks, news }
    }

    /// Looks at that from now on.
    pub(super) fn look(&self, at: LookedAt) {
        // Without the thread there is nothing to look at.
        let _ = self.looks.send(at);
    }

    pub(super) fn news(&self) -> Option<News> {
        self.news.try_recv().ok()
    }
}

fn fetch(client: &Client, wanted: &Receiver<LookedAt>, news: &Sender<News>) {
    let mut at = LookedAt::default();
    let mut next = Instant::now();
    loop {
        match wanted.recv_deadline(next) {
            Ok(other) => at = wanted.try_iter().last().unwrap_or(other),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        next = Instant::now() + ASK_EVERY;
        for said in ask(client, &at) {
            if news.send(said).is_err() {
                return;
            }
        }
    }
}

fn ask(client: &Client, at: &LookedAt) -> Vec<News> {
    let failed = |error: CallError| News::Failed(error.to_string());
    let mut all = vec![client.get("/v1/snapshot").map_or_else(failed, News::Snapshot)];
    if let Some(name) = &at.fsu {
        all.push(client.get(&format!("/v1/fsus/{}", escaped(name))).map_or_else(failed, News::Fsu));
    } else if !at.filter.is_empty() {
        let glob = if at.filter.contains(['*', '?']) { at.filter.clone() } else { format!("*{}*", at.filter) };
        let path = format!("/v1/fsus?per_page={LIST}&sort=received&desc=1&name={}", escaped(&glob));
        all.push(client.get(&path).map_or_else(failed, News::List));
    }
    all
}
