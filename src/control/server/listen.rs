//! Connections, and how many.

use super::patient::Patient;
use crate::api::error::{Code, ErrorAnswer, Failure};
use crate::limits::{CONTROL_CONNECTIONS_MAX, REFUSED_MAX, REQUEST_TIME};
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

/// How long nothing is accepted after it failed: descriptors may come back.
const RETRY_AFTER: Duration = Duration::from_millis(100);
/// How long a refused peer has to read why.
const REFUSED_FOR: Duration = Duration::from_secs(1);

/// Accepts connections until that cannot go on.
pub(super) async fn accept(listener: TcpListener, service: Router) -> io::Error {
    let room = Arc::new(Semaphore::new(CONTROL_CONNECTIONS_MAX));
    let refused = Arc::new(Semaphore::new(REFUSED_MAX));
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) if matches!(error.raw_os_error(), Some(EBADF | EINVAL | ENOTSOCK)) => return error,
            Err(_) => {
                sleep(RETRY_AFTER).await;
                continue;
            }
        };
        // Events are small, and each is waited for.
        let _ = stream.set_nodelay(true);
        if let Ok(permit) = room.clone().try_acquire_owned() {
            let service = service.clone();
            tokio::spawn(async move {
                serve(stream, service).await;
                drop(permit);
            });
        } else if let Ok(permit) = refused.clone().try_acquire_owned() {
            tokio::spawn(async move {
                let _ = timeout(REFUSED_FOR, refuse(stream)).await;
                drop(permit);
            });
        }
    }
}

// Errors that accepting again cannot mend, on every architecture of Linux.
const EBADF: i32 = 9;
const EINVAL: i32 = 22;
const ENOTSOCK: i32 = 88;

/// Serves a connection to its end.
async fn serve(stream: TcpStream, service: Router) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(REQUEST_TIME);
    let connection = http.serve_connection(TokioIo::new(Patient::new(stream)), TowerToHyperService::new(service));
    // A peer that goes is no failure of ours, and one that is too slow has been told.
    let _ = connection.await;
}

/// Says that there is no room, and waits until the peer has closed: what it sent would otherwise destroy the answer.
async fn refuse(mut stream: TcpStream) -> io::Result<()> {
    let error =
        Failure::new(Code::Busy, format!("the control server has {CONTROL_CONNECTIONS_MAX} connections already"));
    let body = serde_json::to_string(&ErrorAnswer { error }).unwrap_or_default();
    let head = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nConnection: close\r\n";
    let answer = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    let mut rest = [0; 4_096];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}
