//! How `flood` reaches FSUs that listen with TLS.

use super::usage;
use crate::exit::CliError;
use crate::tls_args::TlsArgs;
use fsu_flood::options::AskedFsu;
use fsu_plan::model::fleet::Fsu;
use fsu_plan::model::message::Transport;
use fsu_plan::model::tls::Tls;
use fsu_tls::Client;
use std::collections::HashMap;
use std::net::IpAddr;

/// Lays the keys of `tls` on those that are asked: once for each certificate and address.
///
/// # Errors
/// A file that is wrong, or options that nobody needs.
pub(super) fn lay(
    args: &TlsArgs,
    (chosen, transport): (&[&Fsu], Transport),
    targets: &mut [AskedFsu],
) -> Result<(), CliError> {
    let named: HashMap<&str, &Fsu> = chosen.iter().map(|fsu| (&*fsu.name, *fsu)).collect();
    let mut made: HashMap<(*const Tls, IpAddr), Client> = HashMap::new();
    for target in &mut *targets {
        let Some((fsu, tls)) = named.get(&*target.name).and_then(|fsu| Some((*fsu, fsu.tls.as_ref()?))) else {
            continue;
        };
        let key = (std::ptr::from_ref::<Tls>(tls), target.address.ip());
        if let Some(client) = made.get(&key) {
            target.tls = Some(client.clone());
            continue;
        }
        target.tls = args.client(fsu, target.address.ip())?;
        made.extend(target.tls.clone().map(|client| (key, client)));
    }
    if args.is_given() && targets.iter().all(|target| target.tls.is_none()) {
        let why = match transport {
            Transport::Tcp => "no FSU that is asked has `tls` in the configuration",
            _ => "TLS is for tcp",
        };
        return Err(usage(format!("--tls-ca, --tls-server-name, --tls-cert, --tls-key: {why}")));
    }
    Ok(())
}
