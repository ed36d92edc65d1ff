//! `--mock`: the mock's own lateness, read from its control server.

use super::{read, usage};
use crate::args::FloodArgs;
use crate::exit::CliError;
use fsu_core::lateness::Lateness;
use fsu_flood::capacity::mock::Look;
use fsu_flood::capacity::run::LookAtMock;
use std::io;
use std::time::Duration;
use ureq::Agent;

/// For a whole answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest file of a token.
const TOKEN_BYTES: u64 = 4_096;

/// A mock that can be asked.
pub(super) struct Mock {
    address: String,
    token: Option<String>,
    agent: Agent,
    before: Option<Look>,
}

impl Mock {
    /// As the command line says, and asked once.
    ///
    /// # Errors
    /// It is no address, or the mock does not tell its lateness.
    pub(super) fn of(args: &FloodArgs) -> Result<Option<Self>, CliError> {
        let Some(address) = &args.aim.mock else { return Ok(None) };
        let token = args.aim.mock_token.as_deref().map(|path| read(path, TOKEN_BYTES)).transpose()?;
        let config = Agent::config_builder().timeout_global(Some(PATIENCE)).proxy(None).build();
        let mut mock = Self {
            address: address.trim_end_matches('/').to_owned(),
            token: token.map(|token| token.trim().to_owned()),
            agent: config.new_agent(),
            before: None,
        };
        mock.begin().map_err(|error| usage(error.to_string()))?;
        Ok(Some(mock))
    }

    fn look(&self) -> io::Result<Look> {
        let error = |why: String| io::Error::other(format!("--mock {}: {why}", self.address));
        if !self.address.starts_with("http://") {
            return Err(error("it is http://ADDRESS:PORT of the mock's --control".into()));
        }
        let mut request = self.agent.get(format!("{}/metrics", self.address));
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let answer = request.call().and_then(|mut answer| answer.body_mut().read_to_string());
        let text = answer.map_err(|why| error(why.to_string()))?;
        Look::read(&text).map_err(|why| error(why.to_string()))
    }
}

impl Mock {
    /// What came since the look before.
    ///
    /// # Errors
    /// It cannot be asked.
    pub(super) fn second(&mut self) -> io::Result<Lateness> {
        let now = self.look()?;
        let before = self.before.replace(now.clone()).unwrap_or_default();
        now.since(&before).map_err(|why| io::Error::other(why.to_string()))
    }
}

impl LookAtMock for Mock {
    fn address(&self) -> String {
        self.address.clone()
    }

    fn begin(&mut self) -> io::Result<()> {
        self.before = Some(self.look()?);
        Ok(())
    }

    fn end(&mut self) -> io::Result<Lateness> {
        let before = self.before.take().unwrap_or_default();
        let late = self.look()?.since(&before);
        late.map_err(|why| io::Error::other(format!("--mock {}: {why}", self.address)))
    }
}
