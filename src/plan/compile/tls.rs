//! `tls` of an FSU and of its `connect` (spec conversation.md, TLS): which files, and that they are where they mean something.

use crate::config::at::{At, Pos};
use crate::config::load::Loader;
use crate::config::raw::RawFsu;
use crate::config::tls::{RawConnectTls, RawTls, file};
use crate::model::connect::Connect;
use crate::model::message::Transport;
use crate::model::tls::{Files, Tls};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Charged for each: what it is made of, once.
const TLS_BYTES: usize = 64 << 10;

/// What was made so far, by the files and the name it was made of.
#[derive(Debug, Default)]
pub(super) struct Known(HashMap<Names, Arc<Tls>>);

/// Whether it dials; the certificate, its key, the CA; the name.
type Names = (bool, [Option<PathBuf>; 3], String);

/// `tls` as it is given on either side.
struct Given<'r> {
    pos: Pos,
    dials: bool,
    cert: Option<&'r At<String>>,
    key: Option<&'r At<String>>,
    /// With the name of its key.
    ca: (&'static str, Option<&'r At<String>>),
    name: String,
    name_pos: Pos,
}

impl Known {
    /// `tls` of the connections that an FSU accepts. `None`: it has none, or it is wrong, which was reported.
    pub(super) fn listening(
        &mut self,
        loader: &mut Loader,
        main_file: &Path,
        raw: &RawFsu,
        transport: Option<Transport>,
    ) -> Option<Arc<Tls>> {
        let tls = raw.tls.as_ref()?;
        let transport = transport?;
        if transport != Transport::Tcp {
            no_streams(loader, tls.pos, transport);
            return None;
        }
        if raw.port.is_none() && raw.connect.is_some() {
            loader.diags.error(
                tls.pos,
                "`tls` here is for connections that the FSU accepts, and without `port` it accepts none: write `tls` into `connect`",
            );
            return None;
        }
        let RawTls { cert, key, client_ca } = &tls.value;
        let given = Given {
            pos: tls.pos,
            dials: false,
            cert: cert.as_ref(),
            key: key.as_ref(),
            ca: ("client_ca", client_ca.as_ref()),
            name: String::new(),
            name_pos: tls.pos,
        };
        self.make(loader, main_file, &given)
    }

    /// The same for those that it opens: `connect` of the entry is compiled already.
    pub(super) fn dialling(
        &mut self,
        loader: &mut Loader,
        main_file: &Path,
        (raw, connect): (&RawFsu, &Connect),
        transport: Option<Transport>,
    ) -> Option<Arc<Tls>> {
        let tls = raw.connect.as_ref()?.tls.as_ref()?;
        let transport = transport?;
        if transport != Transport::Tcp {
            no_streams(loader, tls.pos, transport);
            return None;
        }
        let RawConnectTls { ca, server_name, cert, key } = &tls.value;
        let given = Given {
            pos: tls.pos,
            dials: true,
            cert: cert.as_ref(),
            key: key.as_ref(),
            ca: ("ca", ca.as_ref()),
            name: server_name.as_ref().map_or_else(|| connect.to.ip().to_string(), |name| name.value.trim().to_owned()),
            name_pos: server_name.as_ref().map_or(tls.pos, |name| name.pos),
        };
        self.make(loader, main_file, &given)
    }

    fn make(&mut self, loader: &mut Loader, main_file: &Path, given: &Given<'_>) -> Option<Arc<Tls>> {
        let path = |at: Option<&At<String>>| Some(loader.join(main_file, &at?.value));
        let names: Names = (given.dials, [path(given.cert), path(given.key), path(given.ca.1)], given.name.clone());
        if let Some(known) = self.0.get(&names) {
            return Some(known.clone());
        }
        if !is_whole(loader, given) {
            return None;
        }
        let mut read = |at: Option<&At<String>>| match at {
            Some(at) => file(loader, main_file, (&at.value, at.pos)).map(Some),
            None => Some(None),
        };
        // All that cannot be read is reported.
        let (cert, key, ca) = (read(given.cert), read(given.key), read(given.ca.1));
        let (cert, key, ca) = (cert?, key?, ca?);
        let Some(make) = loader.make_tls else {
            loader.diags.error(given.pos, "`tls` is not served by this program");
            return None;
        };
        if !loader.diags.charge(given.pos, TLS_BYTES, "certificates") {
            return None;
        }
        let files = Files {
            dials: given.dials,
            cert: cert.as_ref().map(|(bytes, _)| &**bytes),
            key: key.as_ref().map(|(bytes, _)| &**bytes),
            ca: ca.as_ref().map(|(bytes, _)| &**bytes),
            name: &given.name,
        };
        let (made, found) = make(&files);
        for found in found {
            let pos = match found.key {
                "cert" => given.cert.map(|at| at.pos),
                "key" => given.key.map(|at| at.pos),
                "ca" => given.ca.1.map(|at| at.pos),
                _ => Some(given.name_pos),
            };
            let pos = pos.unwrap_or(given.pos);
            if found.is_warning {
                loader.diags.warn(pos, found.text);
            } else {
                loader.diags.error(pos, found.text);
            }
        }
        let (cert, chain) = cert.map_or_else(|| (None, [].into()), |(bytes, shown)| (Some(shown), bytes));
        let tls = Tls { cert, chain, ca: ca.map(|(_, shown)| shown), name: given.name.clone().into(), made: made? };
        let tls = Arc::new(tls);
        self.0.insert(names, tls.clone());
        Some(tls)
    }
}

/// A certificate has its key, and one that listens has both.
fn is_whole(loader: &mut Loader, given: &Given<'_>) -> bool {
    let has = (given.cert.is_some(), given.key.is_some());
    if !has.0 && (has.1 || !given.dials) {
        loader.diags.missing(given.pos, "cert", "the file of the certificate, as PEM");
    }
    if !has.1 && (has.0 || !given.dials) {
        loader.diags.missing(given.pos, "key", "the file of the certificate's private key, as PEM");
    }
    has == (true, true) || (has == (false, false) && given.dials)
}

fn no_streams(loader: &mut Loader, pos: Pos, transport: Transport) {
    let text = format!(
        "`tls` is for tcp: a {} FSU has no connections (leave it out, or write `\"protocol_type\": \"tcp\"`)",
        transport.name()
    );
    loader.diags.error(pos, text);
}
