//! The stream of events: a snapshot a second for all who look, and what happens in between.

use super::extract::Asked;
use super::shared::Shared;
use crate::api::error::{Code, ErrorAnswer, Failure};
use crate::api::snapshot::StreamQuery;
use crate::limits::{BEHIND_EVENTS_MAX, STREAMS_MAX};
use crate::source::Happened;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{self, Stream};
use serde_json::json;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{MissedTickBehavior, interval};

/// Between two snapshots.
const SNAPSHOT_EVERY: Duration = Duration::from_secs(1);
/// Between two signs of life.
const ALIVE_EVERY: Duration = Duration::from_secs(15);
/// Events of one kind in a second; the rest is counted.
const SAME_EVENTS_MAX: usize = 100;

/// An event, as it goes to everyone.
struct Item {
    event: &'static str,
    data: String,
    /// With the states of all FSUs.
    with_map: Option<String>,
}

/// Where events come from for all streams.
pub(super) struct Feed {
    items: broadcast::Sender<Arc<Item>>,
    streams: Arc<Semaphore>,
    maps: Arc<AtomicUsize>,
    /// A source was attached.
    pub(super) attached: Notify,
}

impl Feed {
    pub(super) fn new() -> Self {
        Self {
            items: broadcast::channel(BEHIND_EVENTS_MAX).0,
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            maps: Arc::default(),
            attached: Notify::new(),
        }
    }

    fn has_readers(&self) -> bool {
        self.items.receiver_count() > 0
    }

    fn send(&self, item: Item) {
        // Nobody may look.
        let _ = self.items.send(Arc::new(item));
    }
}

/// Feeds all streams, once there is something to tell.
pub(super) async fn feed(shared: Arc<Shared>) {
    while shared.source().is_err() {
        shared.feed.attached.notified().await;
    }
    tokio::join!(snapshots(&shared), happenings(&shared));
}

async fn snapshots(shared: &Shared) {
    let mut seconds = interval(SNAPSHOT_EVERY);
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        seconds.tick().await;
        if shared.feed.has_readers()
            && let Ok(item) = snapshot(shared, shared.feed.maps.load(Ordering::Relaxed) > 0).await
        {
            shared.feed.send(item);
        }
    }
}

async fn snapshot(shared: &Shared, map: bool) -> Result<Item, Failure> {
    let mut snapshot = (*shared.source()?.snapshot(map).await?).clone();
    let text = |snapshot: &_| serde_json::to_string(snapshot).unwrap_or_default();
    let with_map = map.then(|| text(&snapshot));
    snapshot.map = None;
    Ok(Item { event: "snapshot", data: text(&snapshot), with_map })
}

/// Passes on what happens, at most [`SAME_EVENTS_MAX`] of a kind in a second.
async fn happenings(shared: &Shared) {
    let Ok(source) = shared.source() else { return };
    let mut seconds = interval(Duration::from_secs(1));
    let mut counts: Vec<(&'static str, usize)> = Vec::new();
    loop {
        tokio::select! {
            happened = source.happened() => match happened {
                Ok(happened) => pass(&shared.feed, happened, &mut counts),
                Err(_) => return,
            },
            _ = seconds.tick() => {
                for (event, count) in counts.drain(..).filter(|&(_, count)| count > SAME_EVENTS_MAX) {
                    let data = json!({ "more": count - SAME_EVENTS_MAX }).to_string();
                    shared.feed.send(Item { event, data, with_map: None });
                }
            }
        }
    }
}

fn pass(feed: &Feed, happened: Happened, counts: &mut Vec<(&'static str, usize)>) {
    if !feed.has_readers() {
        return;
    }
    let Happened { event, data } = happened;
    let place = counts.iter().position(|&(name, _)| name == event).unwrap_or_else(|| {
        counts.push((event, 0));
        counts.len() - 1
    });
    counts[place].1 += 1;
    if counts[place].1 <= SAME_EVENTS_MAX {
        feed.send(Item { event, data: data.to_string(), with_map: None });
    }
}

/// One stream; its place is free again when it goes.
struct OneStream {
    shared: Arc<Shared>,
    items: broadcast::Receiver<Arc<Item>>,
    map: bool,
    is_first: bool,
    _place: OwnedSemaphorePermit,
}

impl Drop for OneStream {
    fn drop(&mut self) {
        if self.map {
            self.shared.feed.maps.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl OneStream {
    async fn next(&mut self) -> Option<Event> {
        if std::mem::take(&mut self.is_first)
            && let Ok(item) = snapshot(&self.shared, self.map).await
        {
            return Some(self.event(&item));
        }
        match self.items.recv().await {
            Ok(item) => Some(self.event(&item)),
            Err(RecvError::Lagged(missed)) => {
                Some(Event::default().event("missed").data(json!({ "missed": missed }).to_string()))
            }
            Err(RecvError::Closed) => None,
        }
    }

    fn event(&self, item: &Item) -> Event {
        let data = item.with_map.as_ref().filter(|_| self.map).unwrap_or(&item.data);
        Event::default().event(item.event).data(data)
    }
}

/// Server-sent events: `snapshot` at once and every second, and what happens: `centre`, `outage`, `reload`, `change`. `missed` where
/// the reader was too slow.
#[utoipa::path(get, path = "/v1/events", params(StreamQuery), responses(
    (status = 200, description = "A stream of events", content_type = "text/event-stream", body = String),
    (status = "default", description = "An error", body = ErrorAnswer),
))]
pub(super) async fn events(
    State(shared): State<Arc<Shared>>,
    Asked(asked): Asked<StreamQuery>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Failure> {
    let map = asked.map()?;
    shared.source()?;
    let Ok(place) = shared.feed.streams.clone().try_acquire_owned() else {
        return Err(Failure::new(Code::Busy, format!("{STREAMS_MAX} streams of events are open already")));
    };
    if map {
        shared.feed.maps.fetch_add(1, Ordering::Relaxed);
    }
    let items = shared.feed.items.subscribe();
    let one = OneStream { shared, items, map, is_first: true, _place: place };
    let stream = stream::unfold(one, |mut one| async move { Some((Ok(one.next().await?), one)) });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(ALIVE_EVERY)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::run::Kind;
    use crate::server::options::{Bound, Options};

    fn happened(number: usize) -> Happened {
        Happened { event: "centre", data: json!({ "number": number }) }
    }

    #[test]
    fn limit_same_events_max() {
        let feed = Feed::new();
        let mut items = feed.items.subscribe();
        let mut counts = Vec::new();
        (0..150).for_each(|number| pass(&feed, happened(number), &mut counts));
        pass(&feed, Happened { event: "reload", data: json!({}) }, &mut counts);
        assert_eq!(counts, [("centre", 150), ("reload", 1)]);
        let got: Vec<&str> = std::iter::from_fn(|| items.try_recv().ok()).map(|item| item.event).collect();
        assert_eq!((got.len(), got[99], got[100]), (101, "centre", "reload"));
    }

    #[test]
    fn limit_behind_events_max() {
        let options = Options { at: "127.0.0.1:0".parse().ok(), ..Options::default() };
        let bound = Bound::new(&options).expect("bound").expect("a server");
        let shared = Arc::new(Shared::new(&bound, crate::server::document(Kind::Run)));
        let (items, place) = (shared.feed.items.subscribe(), shared.feed.streams.clone().try_acquire_owned());
        let mut one = OneStream { shared, items, map: false, is_first: false, _place: place.expect("a place") };
        let send = |one: &OneStream, count: usize| {
            (0..count).for_each(|_| one.shared.feed.send(Item { event: "x", data: "{}".into(), with_map: None }));
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let next = |one: &mut OneStream| format!("{:?}", runtime.block_on(one.next()).expect("an event"));
        send(&one, 1_024);
        assert!(!next(&mut one).contains("missed"));
        send(&one, 8);
        assert!(next(&mut one).contains("missed"));
        assert!(!next(&mut one).contains("missed"));
    }
}
