//! `flood --control`: the page and the metrics of a load while it runs.

use super::mock::Mock;
use crate::args::FloodArgs;
use crate::control;
use crate::exit::CliError;
use fsu_control::api::run::Kind;
use fsu_control::load::Loading;
use fsu_control::server::{Control, Options as At, Where};
use fsu_flood::book::live::Look;
use fsu_flood::listen::thread::Glance;
use fsu_flood::options::Options;
use fsu_flood::report::Second;
use fsu_flood::run::Show;
use fsu_net::unblocked;
use fsu_plan::texts::Texts;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// Between two looks at the mock.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What watches a load; without `--control`, nothing does.
#[derive(Default)]
pub(super) struct Watch {
    server: Option<(Control, Arc<Loading>)>,
    mock: Option<LookingOn>,
}

/// A thread that asks the mock how late it is.
struct LookingOn {
    /// The thread ends when it is dropped.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Of a load.
    ///
    /// # Errors
    /// The server cannot be had.
    pub(super) fn load(args: &FloodArgs, options: &Options, say: Texts) -> Result<Self, CliError> {
        Self::start(args, &options.cpus, say, || Loading::new(options))
    }

    /// Of a centre that asks nothing.
    ///
    /// # Errors
    /// The server cannot be had.
    pub(super) fn centre(args: &FloodArgs, fsus: usize, say: Texts) -> Result<Self, CliError> {
        let config = args.which.is_given().then(|| args.which.to_string());
        Self::start(args, &[], say, || Loading::centre(config, fsus))
    }

    fn start(
        args: &FloodArgs,
        cpus: &[usize],
        say: Texts,
        loading: impl FnOnce() -> Loading,
    ) -> Result<Self, CliError> {
        let at = args.control.control.unwrap_or(Where::Off);
        let options = At { at: Some(at), token: args.control.control_token.clone(), read_only: at != Where::Off };
        let Some(control) = control::start(&options, cpus, Kind::Flood, say)? else { return Ok(Self::default()) };
        let loading = Arc::new(loading());
        control.attach(Arc::clone(&loading) as _);
        unblocked::stderr(&say.lines(&format!("control: {}\n", control.url())));
        let mock = Mock::of(args)?.map(|mock| LookingOn::start(mock, Arc::clone(&loading)));
        Ok(Self { server: Some((control, loading)), mock })
    }

    /// What shows the load, and what watches it beside.
    pub(super) fn beside(&self, show: Box<dyn Show>) -> Box<dyn Show> {
        match &self.server {
            None => show,
            Some((_, loading)) => Box::new(Beside { show, loading: Arc::clone(loading) }),
        }
    }

    /// What watches steps of which each is a load.
    pub(super) fn steps(&self) -> Option<Box<dyn Show>> {
        let (_, loading) = self.server.as_ref()?;
        Some(Box::new(Steps(Arc::clone(loading))))
    }

    /// A second of a centre has passed.
    pub(super) fn heard(&self, glance: &Glance) {
        if let Some((_, loading)) = &self.server {
            loading.heard(glance);
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // It ends before the server does.
        self.mock.take();
        if let Some((control, _)) = &self.server {
            control.stopping();
        }
    }
}

impl LookingOn {
    fn start(mut mock: Mock, loading: Arc<Loading>) -> Self {
        let (stop, stopped) = channel();
        let work = move || {
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(LOOK_EVERY) {
                // A mock that does not answer now may do so later; the run's own look reports it.
                if let Ok(late) = mock.second() {
                    loading.mock(&late);
                }
            }
        };
        // Without the thread the page lacks the mock's lateness.
        Self { stop: Some(stop), thread: Builder::new().name("mock".into()).spawn(work).ok() }
    }
}

impl Drop for LookingOn {
    fn drop(&mut self) {
        self.stop.take();
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Shows a load, and passes on what is known.
struct Beside {
    show: Box<dyn Show>,
    loading: Arc<Loading>,
}

impl Show for Beside {
    fn second(&mut self, options: &Options, second: &Second, look: &Look) {
        self.loading.second(second, look);
        self.show.second(options, second, look);
    }

    fn wants_all(&self) -> bool {
        true
    }

    fn end(&mut self) {
        self.show.end();
    }

    fn wants_end(&mut self) -> bool {
        self.show.wants_end()
    }
}

/// Passes on what is known of each step.
struct Steps(Arc<Loading>);

impl Show for Steps {
    fn second(&mut self, _options: &Options, second: &Second, look: &Look) {
        self.0.second(second, look);
    }

    fn wants_all(&self) -> bool {
        true
    }

    fn end(&mut self) {
        self.0.again();
    }
}
