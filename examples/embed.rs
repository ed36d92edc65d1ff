//! The mock inside another program's tests: `cargo run -p fsu-core --example embed`.
//!
//! [`Served`] is what such a test needs: an FSU on a loopback port of its own, in a thread of the test. `main` is the test.

use fsu_core::client::request;
use fsu_core::mock::Mock;
use fsu_core::moment::{Moment, RunContext};
use fsu_core::replies::Replies;
use fsu_core::stage::Incoming;
use fsu_plan::compile::compile;
use fsu_plan::config::load::Loader;
use fsu_plan::config::source::{MAIN_FILE, Source};
use fsu_plan::model::fleet::Fleet;
use fsu_plan::model::message::Transport;
use fsu_plan::wire::civil::Now;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// One FSU of a fleet, served until this is dropped.
#[derive(Debug)]
pub struct Served {
    /// Where it is.
    pub address: SocketAddr,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Served {
    /// Binds a port of the kernel's choice on loopback and serves FSU number `fsu` there.
    pub fn start(fleet: Arc<Fleet>, fsu: usize) -> io::Result<Self> {
        let socket = UdpSocket::bind(("127.0.0.1", 0))?;
        let (address, is_over) = (socket.local_addr()?, Arc::new(AtomicBool::new(false)));
        // So often it looks whether it is over.
        socket.set_read_timeout(Some(Duration::from_millis(10)))?;
        let ends = is_over.clone();
        let thread = std::thread::spawn(move || serve(Mock::new(fleet, run_context()), fsu, &socket, &ends));
        Ok(Self { address, is_over, thread: Some(thread) })
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The same seed gives the same replies; delays of the rules are left out.
fn run_context() -> RunContext {
    RunContext { seed: 1, skip_delay: true, start_mono_ms: 0 }
}

fn serve(mut mock: Mock, fsu: usize, socket: &UdpSocket, ends: &AtomicBool) -> io::Result<()> {
    let (began, mut replies, mut input) = (Instant::now(), Replies::default(), vec![0; 65_536]);
    while !ends.load(Ordering::Relaxed) {
        let Ok((len, peer)) = socket.recv_from(&mut input) else { continue };
        let unix_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as i64;
        let moment = Moment::at(Now { unix_ms, utc_offset_s: 0 }, began.elapsed().as_millis() as u64);
        replies.clear();
        mock.on_datagram(fsu, Incoming { peer, bytes: &input[..len] }, moment, &mut replies);
        for sent in replies.sent() {
            socket.send_to(sent.bytes, peer)?;
            mock.on_sent(fsu, sent.what);
        }
    }
    Ok(())
}

/// The fleet that the tests use.
pub fn fleet() -> Option<Arc<Fleet>> {
    let mut loader = Loader::new(Source::Embedded);
    compile(&mut loader, Path::new(MAIN_FILE)).map(Arc::new)
}

/// What the program under test does: asks a device, and gets its answer.
fn program_under_test(device: SocketAddr, question: &[u8]) -> io::Result<Vec<u8>> {
    let socket = UdpSocket::bind(("127.0.0.1", 0))?;
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    socket.send_to(question, device)?;
    let mut answer = vec![0; 65_536];
    let (len, _) = socket.recv_from(&mut answer)?;
    answer.truncate(len);
    Ok(answer)
}

/// The test: the answer's start is the template's.
#[allow(dead_code, reason = "a test uses the parts")]
pub fn main() -> io::Result<()> {
    let fleet = fleet().ok_or_else(|| io::Error::other("the shipped configuration has errors"))?;
    let fsu = fleet.fsus.iter().position(|fsu| fsu.transport == Transport::Broadcast);
    let fsu = fsu.ok_or_else(|| io::Error::other("no FSU without an outer frame"))?;
    let template = &fleet.fsus[fsu].devices[0].template;
    let question = request::encode(template, &template.commands[0], &[]).map_err(io::Error::other)?;
    let served = Served::start(fleet.clone(), fsu)?;
    let answer = program_under_test(served.address, &question)?;
    assert!(answer.starts_with(&template.start), "{}", hex::encode(answer));
    Ok(())
}
