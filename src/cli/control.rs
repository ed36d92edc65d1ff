//! The control server of a command.

use super::exit::{CliError, Exit};
use super::explain::running::Decoder;
use fsu_control::api::run::Kind;
use fsu_control::run::Running;
use fsu_control::server::{Bound, Control, ControlError, Options};
use fsu_control::source::Source;
use fsu_net::unblocked;
use fsu_plan::texts::Texts;
use fsu_serve::steer::Steering;
use std::sync::Arc;

/// Starts it, as the options say. Where nothing was said, a machine that does not let it is no reason not to go on.
///
/// # Errors
/// Options that cannot be used; a server that was asked for and cannot be.
pub fn start(options: &Options, avoided: &[usize], kind: Kind, say: Texts) -> Result<Option<Control>, CliError> {
    let started = Bound::new(options).and_then(|bound| {
        let start = |bound| Control::start(bound, avoided, kind);
        bound.map(start).transpose()
    });
    match started {
        Ok(control) => Ok(control),
        Err(error) if options.at.is_none() && !error.is_usage() => {
            let warning = format!("warning: no control server: {error}");
            unblocked::stderr(&format!("fsu-mock: {}\n", say.lines(&warning)));
            Ok(None)
        }
        Err(error) => Err(CliError::new(exit(&error), error.to_string())),
    }
}

fn exit(error: &ControlError) -> Exit {
    match error {
        ControlError::Bind { .. } => Exit::Bind,
        ControlError::Thread(_) => Exit::Machine,
        ControlError::NoToken(_) | ControlError::Token { .. } | ControlError::Off(_) => Exit::Usage,
    }
}

/// A running fleet as what the server is about. `metrics_per_fsu`: a pattern of the names of FSUs with metrics of their own.
pub fn running(steering: &Steering, metrics_per_fsu: Option<&str>) -> Arc<dyn Source> {
    let decoder = Decoder { seed: steering.view().about.seed };
    Arc::new(Running::new(steering.clone(), Arc::new(decoder), metrics_per_fsu))
}
